//! The cases of other families in half precision, and casts.
//!
//! Inputs and outputs stay `f32`: floats are cast where they come from, computed in the half type, and cast back.

use egom2p_graph::{Builder, DType, Op, Value};

use super::super::{Case, Tolerance, feed::Feed};

/// Prefixes of names, with the type that is meant.
const HALVES: [(&str, DType); 2] = [("fp16", DType::F16), ("bf16", DType::Bf16)];

/// Cases that say nothing in a half type: values beyond the range of `f16`, and scores of which a half type holds no
/// digits that matter.
const UNFIT: [&str; 4] =
    ["mul/large", "linear/large_values", "attention/large_scores", "attention/large_scores_masked"];

/// Casts, and those of `others` that make sense in a half type, in each.
pub(super) fn cases(others: &[Case]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (prefix, dtype) in HALVES {
        cases.extend(casts(prefix, dtype));
        cases.extend(others.iter().filter(|case| is_fit(case)).map(|case| in_half(case, prefix, dtype)));
    }
    cases
}

fn casts(prefix: &str, dtype: DType) -> Vec<Case> {
    let case = |name: &str, tolerance: Tolerance, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(&format!("{prefix}/cast/{name}"), tolerance, |g, feed| body(g, feed))
    };
    // 1 and the next three values of the type, each with what lies half way and a little off it.
    let step = match dtype {
        DType::Bf16 => 2.0_f32.powi(-7),
        DType::F32 | DType::F16 | DType::I64 | DType::Bool => 2.0_f32.powi(-10),
    };
    let ties: Vec<f32> =
        (0..12).map(|quarters| 1.0 + step * quarters as f32 / 4.0).flat_map(|x| [x, -x, x * 1.000_01]).collect();
    let mut cases = vec![
        case("rows", Tolerance::EXACT, &|g, feed| {
            rounded(feed.floats(g, "x", [("batch", 2).into(), ("tokens", 5).into(), 7.into()]), dtype)
        }),
        case("ties_to_even", Tolerance::EXACT, &|g, feed| {
            rounded(feed.these(g, "x", [ties.len().into()], &ties), dtype)
        }),
        case("param", Tolerance::EXACT, &|g, feed| {
            let zero = feed.floats_of(g, "zero", [("batch", 2).into(), 1.into(), 1.into()], |_| 0.0).cast(dtype);
            (zero + g.param("weight", &[3, 5]).cast(dtype)).cast(DType::F32)
        }),
        case("view_of_param", Tolerance::EXACT, &|g, feed| {
            let zero = feed.floats_of(g, "zero", [("batch", 2).into(), 1.into(), 1.into()], |_| 0.0).cast(dtype);
            let rows = g.param("weight", &[3, 5]).slice(0, 1, 2).reshape([5_usize, 2]).cast(dtype);
            (zero + rows).cast(DType::F32)
        }),
        case("param_in_both_types", Tolerance::of_half(dtype), &|g, feed| {
            let x = feed.floats(g, "x", [("batch", 2).into(), 5.into()]);
            let weight = g.param("weight", &[5]);
            x * weight + (x.cast(dtype) * weight.cast(dtype)).cast(DType::F32)
        }),
        // Beyond the range lies infinity, whose tanh is 1.
        case("overflow", Tolerance::EXACT, &|g, feed| {
            let values = [65_504.0, 3.4e38, -3.4e38, 65_520.0];
            rounded(feed.these(g, "x", [4.into()], &values), dtype).tanh()
        }),
        case("smallest", Tolerance::EXACT, &|g, feed| {
            let values =
                [2.0_f32.powi(-14), 2.0_f32.powi(-24), 3.0 * 2.0_f32.powi(-25), 2.0_f32.powi(-26), -1e-30, 0.0];
            rounded(feed.these(g, "x", [6.into()], &values), dtype)
        }),
        case("empty", Tolerance::EXACT, &|g, feed| {
            rounded(feed.floats(g, "x", [("batch", 2).into(), ("tokens", 0).into(), 3.into()]), dtype)
        }),
    ];
    if dtype == DType::Bf16 {
        cases.push(case("from_f16_and_to_it", Tolerance::EXACT, &|g, feed| {
            let x = feed.floats(g, "x", [("batch", 2).into(), 9.into()]);
            rounded(x.cast(DType::F16).cast(DType::Bf16), DType::F16)
        }));
    }
    cases
}

fn rounded(x: Value<'_>, dtype: DType) -> Value<'_> {
    x.cast(dtype).cast(DType::F32)
}

/// Whether a case gives floats by operations that take halves.
fn is_fit(case: &Case) -> bool {
    let gives_floats = case.graph.outputs().iter().all(|(_, id)| case.graph.node(*id).fact.dtype.is_float());
    gives_floats && !UNFIT.contains(&case.name.as_str()) && case.graph.nodes().iter().all(|node| takes_halves(&node.op))
}

fn takes_halves(op: &Op) -> bool {
    match op {
        Op::LayerNorm { .. }
        | Op::FrameNorm { .. }
        | Op::L2Normalize { .. }
        | Op::ArgMax
        | Op::FsqQuantize { .. }
        | Op::FsqDequantize { .. } => false,
        Op::Input { .. }
        | Op::Param { .. }
        | Op::Constant(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Equal
        | Op::And
        | Op::Where
        | Op::Silu
        | Op::Gelu
        | Op::Tanh
        | Op::Cast { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Embedding
        | Op::Linear { .. }
        | Op::Attention { .. }
        | Op::CausalConv { .. }
        | Op::AveragePool
        | Op::UpsampleNearest
        | Op::HaarPatch { .. }
        | Op::HaarUnpatch { .. } => true,
    }
}

/// The case with every float cast where it comes from, and back where it is given.
fn in_half(case: &Case, prefix: &str, dtype: DType) -> Case {
    let name = format!("{prefix}/{}", case.name);
    let g = Builder::new(&*name);
    let mut values: Vec<Value<'_>> = Vec::new();
    for node in case.graph.nodes() {
        let inputs: Vec<_> = node.inputs.iter().map(|id| values[id.index()]).collect();
        let value = g.replay(node, &inputs);
        let is_float = node.inputs.is_empty() && node.fact.dtype.is_float();
        values.push(if is_float { g.within(&node.scope, || value.cast(dtype)) } else { value });
    }
    let outputs: Vec<_> =
        case.graph.outputs().iter().map(|(output, id)| (*output, values[id.index()].cast(DType::F32).id())).collect();
    let graph = g.finish(outputs).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (inputs, parameters) = (case.inputs.clone(), case.parameters.clone());
    Case { name, graph, inputs, parameters, tolerance: Tolerance::of_half(dtype) }
}
