use crate::leaves::Leaves;
use egom2p_tests::op_suite::{Case, Generator, Ignore, cases, kinds, kinds_of};
use std::collections::BTreeSet;

/// The longest step of a difference quotient, in units of the largest value of what is moved.
const STEP: f64 = 1.0 / 32.0;
/// How far a quotient may be from the derivative, in units of the derivative's usual size.
const TOLERANCE: f64 = 1e-3;
/// How far the interpreter rounds a sum of outputs, in units of their norm.
const ROUNDING: f64 = 1e-7;

/// What a difference quotient says nothing about.
const IGNORES: [Ignore; 11] = [
    Ignore { case: "where/not_a_number_left_out", reason: "what is not a number has no direction" },
    bent("silu/telling_13"),
    bent("gelu/telling_11"),
    bent("layer_norm/one_feature"),
    bent("layer_norm/two_features"),
    bent("layer_norm/constant_rows"),
    bent("frame_norm/one_value"),
    bent("l2_normalize/zero"),
    bent("layer_norm/far_from_zero"),
    bent("frame_norm/far_from_zero"),
    bent("attention/large_scores"),
];

const fn bent(case: &'static str) -> Ignore {
    Ignore { case, reason: "a step changes the slope itself" }
}

#[test]
fn gradients_are_the_slopes_of_the_reference_interpreter() {
    let (mut covered, mut failures, mut largest) = (BTreeSet::new(), Vec::new(), (0.0, String::new()));
    let names: Vec<String> = cases::all().into_iter().map(|case| case.name).collect();
    let unknown = IGNORES.iter().find(|ignore| !names.iter().any(|name| name == ignore.case));
    assert!(unknown.is_none(), "no case is called so: {unknown:?}");
    let random = (0..100).map(|seed| cases::random(1000 + seed));
    for case in cases::all().into_iter().filter(|case| !is_half(case)).chain(random) {
        let ignored = IGNORES.iter().any(|ignore| ignore.case == case.name);
        let Some(leaves) = Leaves::of(&case).filter(|_| !ignored) else { continue };
        covered.extend(kinds_of(&case.graph));
        let gradients = leaves.gradients(&case);
        for (name, gradient) in &gradients {
            let share = worst_share(&case, &leaves, name, gradient);
            if share > 1.0 || share.is_nan() {
                failures.push(format!("{}: {name}: {share:.3e} times the tolerance", case.name));
            }
            if share > largest.0 && share <= 1.0 {
                largest = (share, format!("{} of {name}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    print(&format!("at most {:.3} of the tolerance, in {}", largest.0, largest.1));
    // These give no floats, or take none.
    let without: BTreeSet<_> = ["and", "arg_max", "cast", "equal", "fsq_dequantize", "fsq_quantize"].into();
    assert_eq!(kinds().difference(&covered).copied().collect::<BTreeSet<_>>(), without);
}

#[test]
fn gradients_that_are_off_by_little_are_caught() {
    let (mut n_leaves, mut n_caught) = (0, 0);
    for case in cases::all().into_iter().filter(|case| !is_half(case)) {
        let ignored = IGNORES.iter().any(|ignore| ignore.case == case.name);
        let Some(leaves) = Leaves::of(&case).filter(|_| !ignored) else { continue };
        for (name, gradient) in &leaves.gradients(&case) {
            let off: Vec<f32> = gradient.iter().map(|value| value * 1.01).collect();
            n_leaves += usize::from(gradient.iter().any(|value| value.abs() > 0.0));
            n_caught += usize::from(worst_share(&case, &leaves, name, &off) > 1.0);
        }
    }
    print(&format!("{n_caught} of {n_leaves}"));
    assert!(n_caught * 100 >= n_leaves * 95, "{n_caught} of {n_leaves}");
}

/// The largest difference between a slope along a random direction and what the gradient says, in units of the tolerance.
fn worst_share(case: &Case, leaves: &Leaves, name: &str, gradient: &[f32]) -> f64 {
    let value = leaves.values[name].as_f32().expect("leaves are floats");
    let magnitude = value.iter().map(|&value| f64::from(value).abs()).fold(0.0, f64::max);
    let magnitude = if magnitude > 0.0 { magnitude } else { 1.0 };
    let mut generator = Generator::of_name(&format!("{} {name}", case.name));
    let mut worst = 0.0_f64;
    for _ in 0..3 {
        let direction: Vec<f64> = value.iter().map(|_| f64::from(generator.float(1.0)) * magnitude).collect();
        let at = |step: f64| {
            let moved = value.iter().zip(&direction).map(|(&value, &along)| (f64::from(value) + step * along) as f32);
            leaves.loss_with(case, name, &moved.collect::<Vec<_>>())
        };
        let quotient = |step: f64| (at(step) - at(-step)) / (2.0 * step);
        // Two quotients without the square of the step in what they are off by.
        let slope = (4.0 * quotient(STEP / 2.0) - quotient(STEP)) / 3.0;
        let terms = gradient.iter().zip(&direction).map(|(&gradient, &along)| f64::from(gradient) * along);
        let (said, squares) = terms.fold((0.0, 0.0), |(sum, squares), term| (sum + term, squares + term * term));
        let allowed = TOLERANCE * squares.sqrt() + ROUNDING / STEP * leaves.norm(case);
        let share = if (said - slope).abs() > 0.0 { (said - slope).abs() / allowed } else { said - slope };
        worst = if share >= worst || share.is_nan() { share } else { worst };
    }
    worst
}

fn is_half(case: &Case) -> bool {
    case.name.starts_with("fp16/") || case.name.starts_with("bf16/")
}

#[allow(clippy::print_stdout, reason = "the measured differences")]
fn print(text: &str) {
    println!("{text}");
}
