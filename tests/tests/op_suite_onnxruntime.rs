//! The suite of operations through export and ONNX Runtime, for every target that ONNX Runtime can read.

use egom2p_export::{Opset, Target};
use egom2p_tests::{
    backends::ExportedToOnnxRuntime,
    op_suite::{Ignore, Tolerance, cases, check_backend, check_case},
};
use proptest::{prelude::*, test_runner::TestRunner};

const EMPTY: Ignore = Ignore {
    case: "arg_max/empty",
    reason: "ONNX Runtime keeps the reduced axis of a tensor without values; no stage has a batch of 0",
};

/// Export refuses halves for the one target, which its own tests show.
const ONNXRUNTIME_CPU: &[Ignore] = &[
    EMPTY,
    Ignore { case: "fp16/", reason: "the operators of onnxruntime-cpu are fp32 only" },
    Ignore { case: "bf16/", reason: "the operators of onnxruntime-cpu are fp32 only" },
];

const STANDARD: &[Ignore] =
    &[EMPTY, Ignore { case: "bf16/", reason: "ONNX Runtime has no arithmetic on bf16 on CPUs" }];

/// Cases that ONNX Runtime does not do exactly: it computes in `fp32` what it has no `fp16` kernel for, and drops the casts
/// around it. They are held against the tolerance of `fp16` instead.
const UNROUNDED: [Ignore; 5] = [
    unrounded("fp16/where/rows"),
    unrounded("fp16/where/all_broadcast"),
    unrounded("fp16/where/not_a_number_left_out"),
    unrounded("fp16/slice/of_param"),
    unrounded("fp16/embedding/first_and_last"),
];

const fn unrounded(case: &'static str) -> Ignore {
    Ignore { case, reason: "not rounded to fp16 by ONNX Runtime" }
}

fn run_suite(target: Target, ignores: &[Ignore]) {
    let Some(backend) = ExportedToOnnxRuntime::open(target) else { return };
    let report = check_backend(&backend, ignores);
    assert!(report.is_clean(), "{report}");
    print(&report.to_string());
}

fn run_standard(opset: Opset) {
    run_suite(Target::Standard { opset }, &[STANDARD, &UNROUNDED].concat());
}

#[test]
fn onnxruntime_cpu_agrees() {
    run_suite(Target::OnnxRuntimeCpu, ONNXRUNTIME_CPU);
}

#[test]
fn standard_20_agrees() {
    run_standard(Opset::V20);
}

#[test]
fn standard_19_agrees() {
    run_standard(Opset::V19);
}

#[test]
fn standard_22_agrees() {
    run_standard(Opset::V22);
}

#[test]
fn what_is_not_rounded_is_near() {
    let Some(backend) = ExportedToOnnxRuntime::open(Target::Standard { opset: Opset::V20 }) else { return };
    for mut case in cases::all().into_iter().filter(|case| UNROUNDED.iter().any(|ignore| ignore.case == case.name)) {
        case.tolerance = Tolerance::FP16;
        check_case(&backend, &case).unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
    }
}

#[test]
fn random_shapes_agree() {
    for target in [Target::OnnxRuntimeCpu, Target::Standard { opset: Opset::V20 }] {
        let Some(backend) = ExportedToOnnxRuntime::open(target) else { return };
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) });
        let result = runner.run(&any::<u64>(), |seed| {
            check_case(&backend, &cases::random(seed)).map(|_| ()).map_err(TestCaseError::fail)
        });
        result.unwrap_or_else(|failure| panic!("{target}: {failure}"));
    }
}

#[allow(clippy::print_stdout, reason = "the measured differences")]
fn print(text: &str) {
    println!("{text}");
}
