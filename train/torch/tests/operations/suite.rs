use crate::backend::Torch;
use egom2p_tests::op_suite::{Generator, Ignore, cases, check_backend, check_case};

/// What libtorch is not held to, and why.
const IGNORES: &[Ignore] = &[
    Ignore {
        case: "frame_norm/one_value",
        reason: "libtorch scales by 1 / sqrt(variance + epsilon), here 1000, before it takes the scaled mean away",
    },
    Ignore { case: "bf16/gelu/telling_11", reason: "1 + erf is 0 in f32, which is off by 7e-15 at -8" },
];

#[test]
fn every_operation_agrees() {
    let report = check_backend(&Torch, IGNORES);
    assert!(report.is_clean(), "{report}");
    print(&report.to_string());
}

#[test]
fn random_shapes_agree() {
    let mut seeds = Generator::of_name("random shapes");
    for _ in 0..400 {
        let case = cases::random(seeds.bits());
        check_case(&Torch, &case).unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
    }
}

#[allow(clippy::print_stdout, reason = "the measured differences")]
fn print(text: &str) {
    println!("{text}");
}
