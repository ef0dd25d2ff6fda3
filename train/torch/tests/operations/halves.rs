//! Gradients through graphs of halves, and of queries that see nothing.

use crate::leaves::Leaves;
use egom2p_graph::{AttentionMask, Builder, DType, Dim};
use egom2p_tests::op_suite::{Case, Generator, cases};
use egom2p_torch::{TorchParameters, run};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// How far the norm of a difference from the gradient in single precision may be, in units of that gradient's norm plus
/// [`CANCELLED`].
const TOLERANCES: [(&str, f64); 2] = [("fp16/", 2e-3), ("bf16/", 1.6e-2)];

/// Of differences of what was rounded at size one, such as one minus the square of a tanh, little more than that may be left.
const CANCELLED: f64 = 0.25;

#[test]
fn gradients_in_half_precision_come_near() {
    let all = cases::all();
    let single: BTreeMap<&str, &Case> = all.iter().map(|case| (case.name.as_str(), case)).collect();
    let (mut failures, mut n_compared) = (Vec::new(), 0);
    for (prefix, tolerance) in TOLERANCES {
        for case in all.iter().filter(|case| case.name.starts_with(prefix)) {
            let Some(of_single) = single.get(&case.name[prefix.len()..]) else { continue };
            let (Some(leaves), Some(expected)) = (Leaves::of(case), Leaves::of(of_single)) else { continue };
            let expected = expected.same_loss(&leaves).gradients(of_single);
            for (name, gradient) in leaves.gradients(case) {
                let norm = |values: &[f32]| values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                let difference: Vec<f32> = gradient.iter().zip(&expected[&name]).map(|(a, e)| a - e).collect();
                let (difference, size) = (norm(&difference), norm(&expected[&name]));
                n_compared += 1;
                if difference > tolerance * (size + CANCELLED) || difference.is_nan() {
                    failures.push(format!("{}: {name}: {difference:.1e} of {size:.1e}", case.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} of {n_compared}\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn queries_that_see_nothing_give_and_get_exactly_zero() {
    for (dtype, heads, width) in [DType::F32, DType::F16, DType::Bf16]
        .into_iter()
        .flat_map(|dtype| [(1, 1), (2, 16), (4, 64)].map(|(heads, width)| (dtype, heads, width)))
    {
        let (n_queries, n_keys, n_features) = (40_i64, 70_i64, heads * width);
        let g = Builder::new("sketch");
        let rows = |name, rows: &'static str| {
            g.input(name, DType::F32, [Dim::from("batch"), rows.into(), n_features.into()]).cast(dtype)
        };
        let parts = [rows("q", "queries"), rows("k", "keys"), rows("v", "keys")];
        let mask = g.input("mask", DType::Bool, ["batch", "queries", "keys"]);
        let scale = (width as f32).powf(-0.5);
        let mixed = g.attention(parts, heads, scale, (AttentionMask::Pairs, Some(mask))).cast(DType::F32).id();
        let graph = g.finish([("mixed", mixed)]).expect("a sound graph");

        let mut generator = Generator::of_name("queries that see nothing");
        let mut floats = |rows: i64| {
            let values: Vec<f32> = (0..2 * rows * n_features as i64).map(|_| generator.float(2.0)).collect();
            Tensor::from_slice(&values).reshape([2, rows, n_features as i64]).set_requires_grad(true)
        };
        let (q, k, v) = (floats(n_queries), floats(n_keys), floats(n_keys));
        // In the first sample two queries see nothing, in the second none sees anything, and key 5 is seen by nobody.
        let mask = Tensor::ones([2, n_queries, n_keys], (Kind::Bool, Device::Cpu));
        for query in [3, 39] {
            let _ = mask.select(0, 0).select(0, query).fill_(0);
        }
        let _ = mask.select(0, 1).fill_(0);
        let _ = mask.select(2, 5).fill_(0);
        let inputs = [("q", &q), ("k", &k), ("v", &v), ("mask", &mask)];
        let outputs = run(&graph, &inputs, &TorchParameters::default(), Device::Cpu).expect("it runs");
        outputs[0].1.square().sum(Kind::Float).backward();
        let is_zero = |tensor: Tensor| tensor.abs().max().double_value(&[]) <= 0.0;
        let label = format!("{dtype} {heads} x {width}");
        for tensor in [&outputs[0].1, &q.grad()] {
            assert!(tensor.isfinite().all().int64_value(&[]) == 1, "{label}");
            assert!(
                is_zero(tensor.get(1)) && is_zero(tensor.get(0).get(3)) && is_zero(tensor.get(0).get(39)),
                "{label}"
            );
            assert!(!is_zero(tensor.get(0).get(4)), "{label}: a query that sees has something to pass back");
        }
        for tensor in [k.grad(), v.grad()] {
            assert!(tensor.isfinite().all().int64_value(&[]) == 1, "{label}");
            assert!(is_zero(tensor.get(1)) && is_zero(tensor.get(0).get(5)), "{label}");
            assert!(!is_zero(tensor.get(0).get(6)), "{label}");
        }
    }
}
