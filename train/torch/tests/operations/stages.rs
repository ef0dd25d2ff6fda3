use crate::backend::Torch;
use egom2p_calibration::Precision;
use egom2p_model::Stage;
use egom2p_tests::goldens::Golden;
use egom2p_tests::op_suite::Runs;

#[test]
fn every_stage_gives_the_reference_values() {
    check(Precision::Fp32);
}

#[test]
fn every_stage_comes_near_in_bf16() {
    check(Precision::Bf16);
}

#[test]
fn every_stage_comes_near_in_fp16() {
    check(Precision::Fp16);
}

/// Every variant of every stage of the small preset, against values of PyTorch.
fn check(precision: Precision) {
    let mut failures = Vec::new();
    for stage in Stage::ALL {
        let golden = Golden::read(stage.name(), precision).expect("a sound file");
        for (name, case) in &golden.cases {
            let outputs = golden.stored_case(stage, name).and_then(|case| Torch.run(&case));
            let compared = outputs.and_then(|outputs| {
                let shares = case.outputs().map(|output| {
                    let (_, value) = outputs.iter().find(|(given, _)| given == output).ok_or("an output is missing")?;
                    golden.compare(name, output, value)
                });
                shares.collect::<Result<Vec<f64>, _>>()
            });
            match compared {
                Ok(shares) => print(&format!("{precision} {stage} {name}: {shares:.3?} of the tolerance")),
                Err(error) => failures.push(format!("{stage}: {name}: {error}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[allow(clippy::print_stdout, reason = "the measured differences")]
fn print(text: &str) {
    println!("{text}");
}
