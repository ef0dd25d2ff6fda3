//! The suite of operations through export and ONNX Runtime, for every target that ONNX Runtime can read.

use egom2p_export::{Opset, Target};
use egom2p_tests::{
    backends::ExportedToOnnxRuntime,
    op_suite::{Ignore, cases, check_backend, check_case},
};
use proptest::{prelude::*, test_runner::TestRunner};

const IGNORES: &[Ignore] = &[Ignore {
    case: "arg_max/empty",
    reason: "ONNX Runtime keeps the reduced axis of a tensor without values; no stage has a batch of 0",
}];

fn run_suite(target: Target) {
    let Some(backend) = ExportedToOnnxRuntime::open(target) else { return };
    let report = check_backend(&backend, IGNORES);
    assert!(report.is_clean(), "{report}");
    print(&report.to_string());
}

#[test]
fn onnxruntime_cpu_agrees() {
    run_suite(Target::OnnxRuntimeCpu);
}

#[test]
fn standard_20_agrees() {
    run_suite(Target::Standard { opset: Opset::V20 });
}

#[test]
fn standard_19_agrees() {
    run_suite(Target::Standard { opset: Opset::V19 });
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
