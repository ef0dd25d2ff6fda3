//! Every stage, and a decoding loop made of stages, against the reference values in `tests/golden`.

use std::error::Error;

use egom2p_calibration::Precision;
use egom2p_export::{Opset, Target};
use egom2p_graph::Literal;
use egom2p_model::{Modality, Stage};
use egom2p_tests::{
    backends::{ExportedToOnnxRuntime, Interpreter},
    goldens::{Generation, Golden},
    op_suite::Runs,
};

#[test]
fn every_stage_has_reference_values() {
    let names = Golden::names().expect("the folder is there");
    for stage in Stage::ALL {
        assert!(names.iter().any(|name| name == stage.name()), "no values of {stage}");
        let golden = Golden::read(stage.name(), Precision::Fp32).expect("a sound file");
        for variant in stage.variants() {
            let cases = golden.cases.keys().map(|name| golden.stored_case(stage, name).expect("a sound case"));
            let label = format!("{stage} {variant}");
            assert!(cases.into_iter().any(|case| case.name == label), "no values of {label}");
        }
    }
}

#[test]
fn the_interpreter_gives_the_reference_values() {
    check(&Interpreter, Precision::Fp32);
}

/// What reduced precision costs the graphs themselves.
#[test]
fn the_interpreter_comes_near_in_half_precision() {
    check(&Interpreter, Precision::Fp16);
    check(&Interpreter, Precision::Bf16);
}

#[test]
fn other_weights_give_other_values() {
    for stage in Stage::ALL {
        let mut golden = Golden::read(stage.name(), Precision::Fp32).expect("a sound file");
        golden.weight_seed += 1;
        let agrees = |name: &String| {
            let outputs = Interpreter.run(&golden.stored_case(stage, name).expect("a sound case")).expect("it runs");
            outputs.iter().all(|(output, value)| golden.compare(name, output, value).is_ok())
        };
        assert!(!golden.cases.keys().all(agrees), "{stage}: other weights pass as well");
    }
}

#[test]
fn onnxruntime_cpu_gives_the_reference_values() {
    check_onnxruntime(Target::OnnxRuntimeCpu, Precision::Fp32);
}

#[test]
fn standard_onnx_gives_the_reference_values() {
    check_onnxruntime(Target::Standard { opset: Opset::V20 }, Precision::Fp32);
}

/// ONNX Runtime computes `fp16` on any CPU, `bf16` on none.
#[test]
fn standard_onnx_comes_near_in_fp16() {
    check_onnxruntime(Target::Standard { opset: Opset::V20 }, Precision::Fp16);
}

fn check_onnxruntime(target: Target, precision: Precision) {
    if let Some(backend) = ExportedToOnnxRuntime::open(target) {
        check(&backend, precision);
    }
}

fn check(backend: &dyn Runs, precision: Precision) {
    check_stages(backend, precision);
    check_generations(backend, precision);
}

fn check_stages(backend: &dyn Runs, precision: Precision) {
    let mut failures = Vec::new();
    for stage in Stage::ALL {
        let golden = Golden::read(stage.name(), precision).expect("a sound file");
        for (name, case) in &golden.cases {
            let outputs = golden.stored_case(stage, name).and_then(|case| backend.run(&case));
            let compared = outputs.and_then(|outputs| {
                let names = case.outputs().map(|output| {
                    let (_, value) = outputs.iter().find(|(given, _)| given == output).ok_or("an output is missing")?;
                    golden.compare(name, output, value)
                });
                names.collect::<Result<Vec<f64>, _>>()
            });
            match compared {
                Ok(shares) => {
                    print(&format!("{} {precision} {stage} {name}: {shares:.3?} of the tolerance", backend.name()));
                }
                Err(error) => failures.push(format!("{stage}: {name}: {error}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", backend.name(), failures.join("\n"));
}

fn check_generations(backend: &dyn Runs, precision: Precision) {
    let names: Vec<_> = Golden::names().expect("the folder is there");
    let generations: Vec<_> = names.iter().filter(|name| name.starts_with("generate_")).collect();
    assert!(generations.len() >= 2, "the folder holds generations");
    for name in generations {
        let golden = Golden::read(name, precision).expect("a sound file");
        check_generation(backend, &golden).unwrap_or_else(|error| panic!("{}: {name}: {error}", backend.name()));
    }
}

/// Greedy decoding from the stored positions: every step starts from the stored tokens of the steps before.
fn check_generation(backend: &dyn Runs, golden: &Golden) -> Result<(), Box<dyn Error>> {
    const CASE: &str = "greedy";
    let Generation { condition, target, steps, guidance } = golden.generation.clone().ok_or("no generation")?;
    let [condition, target] = [condition, target].map(|name| Modality::from_name(&name).expect("a modality"));
    let given = golden.tensor("greedy/in/tokens")?.as_i64().ok_or("tokens are integers")?.to_vec();
    let mut known: Vec<(i64, i64)> = Vec::new();
    let stored = |step: usize, what: &str| -> Result<Vec<i64>, Box<dyn Error>> {
        Ok(golden.tensor(&format!("{CASE}/out/step{step}/{what}"))?.as_i64().ok_or("integers")?.to_vec())
    };
    for step in 0..steps {
        let positions = stored(step, "positions")?;
        let seen = known.iter().map(|&(position, token)| (target, position, token));
        let with = (0..).zip(&given).map(|(position, &token)| (condition, position, token)).chain(seen.clone());
        let conditional = logits(backend, golden, &with.collect::<Vec<_>>(), target, &positions)?;
        let unconditional = logits(backend, golden, &seen.collect::<Vec<_>>(), target, &positions)?;
        if step == 0 {
            golden.compare(CASE, "step0/logits_conditional", &conditional)?;
            golden.compare(CASE, "step0/logits_unconditional", &unconditional)?;
        }
        let vocabulary = golden.config.vocabulary(target);
        let [conditional, unconditional] =
            [&conditional, &unconditional].map(|value| value.as_f32().unwrap_or_default());
        let guided: Vec<f32> = conditional.iter().zip(unconditional).map(|(c, u)| u + (c - u) * guidance).collect();
        let best = guided
            .chunks_exact(vocabulary)
            .map(|row| (1..vocabulary).fold(0, |best, index| if row[index] > row[best] { index } else { best }));
        let best: Vec<usize> = best.collect();
        let values = guided.chunks_exact(vocabulary).zip(&best).map(|(row, &best)| row[best]).collect();
        golden.compare(CASE, &format!("step{step}/best"), &Literal::f32([best.len()], values)?)?;
        let tokens = Literal::i64([best.len()], best.iter().map(|&token| token as i64).collect())?;
        golden.compare(CASE, &format!("step{step}/tokens"), &tokens)?;
        known.extend(positions.into_iter().zip(stored(step, "tokens")?));
        known.sort_unstable();
    }
    let tokens = Literal::i64([known.len()], known.iter().map(|&(_, token)| token).collect())?;
    golden.compare(CASE, "tokens", &tokens)?;
    Ok(())
}

/// Logits `[queries, vocabulary]` of the queried positions, given rows of modality, position and token.
fn logits(
    backend: &dyn Runs,
    golden: &Golden,
    seen: &[(Modality, i64, i64)],
    target: Modality,
    positions: &[i64],
) -> Result<Literal, Box<dyn Error>> {
    let row = |values: Vec<i64>| Literal::i64([1, values.len()], values);
    let modality = row(vec![target.index() as i64; positions.len()])?;
    let mut inputs = vec![("modality", modality), ("position", row(positions.to_vec())?)];
    let mut variant = "contextless";
    if !seen.is_empty() {
        let rows = [
            ("tokens", row(seen.iter().map(|&(_, _, token)| token).collect())?),
            ("modality", row(seen.iter().map(|(modality, _, _)| modality.index() as i64).collect())?),
            ("position", row(seen.iter().map(|&(_, position, _)| position).collect())?),
        ];
        inputs.push(("context", only(backend, golden, Stage::Encoder, "unmasked", &rows)?));
        variant = "unmasked";
    }
    let hidden = only(backend, golden, Stage::Decoder, variant, &inputs)?;
    let logits = only(backend, golden, Stage::head(target), "default", &[("hidden", hidden)])?;
    let shape = logits.shape()[1..].to_vec();
    Ok(Literal::new(shape, logits.into_data())?)
}

/// The one output of a stage.
fn only(
    backend: &dyn Runs,
    golden: &Golden,
    stage: Stage,
    variant: &str,
    inputs: &[(&str, Literal)],
) -> Result<Literal, Box<dyn Error>> {
    let mut outputs = backend.run(&golden.case(stage, variant, inputs)?)?;
    Ok(outputs.pop().ok_or("a stage has an output")?.1)
}

#[allow(clippy::print_stdout, reason = "the measured differences")]
fn print(text: &str) {
    println!("{text}");
}
