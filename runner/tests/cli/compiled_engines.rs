//! Compiled engines on a machine that has neither their library nor a GPU.

use std::fs;

use egom2p::tensors::read_tensors;
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    engine_files::{write_bundle, write_engine},
    tensor_files::{safetensors, words},
    transcript::Transcript,
};

#[test]
fn engines_are_inspected_through_their_records() {
    let bench = Bench::new();
    let record = write_engine(&bench, "mine.engine", 24);
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("inspect mine.engine");
    transcript.succeeds("inspect mine.engine.json --digests");
    insta::assert_snapshot!(transcript.text());

    let output = bench.run(&["inspect", "mine.engine", "--digests", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(report["kind"], "engine");
    assert_eq!(report["file"], "verified");
    assert_eq!(report["record"], serde_json::to_value(&record).expect("a record is JSON"));
    assert_eq!(report["layer_kinds"], json!({ "gemm": 8, "kgen": 16 }));
    assert_eq!(report["layer_dtypes"], json!({ "Half": 8, "Float": 16 }));
    let all = bench.run(&["inspect", "mine.engine", "--all"]);
    assert!(String::from_utf8_lossy(&all.stdout).lines().any(|line| line.starts_with("layer 23 ")));
}

#[test]
fn engines_that_are_not_what_their_records_say_are_named() {
    let bench = Bench::new();
    bench.write("foreign.engine", "built elsewhere");
    for name in ["flipped", "cut", "gone", "newer", "forged", "damaged"] {
        write_engine(&bench, &format!("{name}.engine"), 2);
    }
    bench.flip("flipped.engine");
    bench.write("cut.engine", "short");
    fs::remove_file(bench.path("gone.engine")).expect("it is there");
    bench.replace("newer.engine.json", "\"schema\": 1", "\"schema\": 2");
    bench.replace("forged.engine.json", "\"library\"", "\"libary\"");
    bench.write("damaged.engine.json", "[".repeat(100_000));
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("inspect flipped.engine");
    for line in [
        "inspect foreign.engine",
        "inspect flipped.engine --digests",
        "inspect cut.engine",
        "inspect gone.engine.json",
        "inspect newer.engine",
        "inspect forged.engine",
        "inspect damaged.engine",
        "inspect missing.engine",
    ] {
        transcript.fails(line);
    }
    insta::assert_snapshot!(transcript.text_without_sizes());
}

#[test]
fn bundles_of_compiled_engines_are_inspected() {
    let bench = Bench::new();
    write_bundle(&bench);
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("inspect bundle");
    transcript.succeeds("inspect bundle --digests");
    let record = "bundle/engines/camera_decoder.default-0123456789ab.engine.json";
    bench.replace(record, "\"bytes\": 2600", "\"bytes\": 2601");
    transcript.fails("inspect bundle");
    bench.write(record, "{");
    transcript.fails("inspect bundle");
    fs::remove_file(bench.path(record)).expect("it is there");
    transcript.fails("inspect bundle");
    insta::assert_snapshot!(transcript.text_without_sizes());
}

#[cfg(not(feature = "tensorrt"))]
#[test]
fn a_program_without_the_compiler_says_how_to_get_it() {
    let bench = Bench::with_weights("camera");
    bench.succeed(&["export", "weights", "--out", "onnx", "--target", "standard"]);
    write_bundle(&bench);
    bench.write("in.safetensors", tokens());
    let mut transcript = Transcript::new(&bench);
    transcript.fails("build onnx --out new --backend tensorrt");
    transcript.fails("build onnx --out new --backend tensorrt-rtx --compute-capability 8.6");
    transcript.fails("stage bundle camera_decoder --inputs in.safetensors --outputs out.safetensors");
    insta::assert_snapshot!(transcript.text());
    let output = bench.run(&["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = "TensorRT: this program was built without it (build it with \"--features tensorrt\")";
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[test]
fn what_was_exported_decides_what_is_built() {
    let Some(bench) = Bench::with_bundle("camera", "camera_decoder") else { return };
    bench.write("some.engine", "built elsewhere");
    let export = ["export", "weights", "--stages", "camera_decoder", "--out", "half", "--target", "standard"];
    bench.succeed(&[&export[..], &["--precision", "bf16"]].concat());
    let mut transcript = Transcript::new(&bench);
    for line in [
        "export weights --out other --precision fp16",
        "build onnx --out new --precision fp16",
        "build half --out new --precision fp32",
        "build half --out new",
        "build onnx --out new --calibration ranges.json",
        "build onnx --out new --tf32",
        "build onnx --out new --compute-capability 8.6,8.9",
        "build onnx --out new --timing-cache timings",
        "build onnx --out new --tensorrt lib",
        "build onnx --out new --engine camera_decoder=some.engine",
        "build onnx --out new --engine encoder.masked=some.engine",
        "build onnx --out new --engine camera_decoder=a.engine --engine camera_decoder.default=b.engine",
        "build onnx --out new --engine camera_decoder=missing.engine",
    ] {
        transcript.fails(line);
    }
    insta::assert_snapshot!(transcript.text());
    bench.succeed(&["build", "onnx", "--out", "new", "--precision", "fp32", "--device", "cpu"]);
}

/// How far outputs of fp16 may be from those of fp32: 0.0042 was measured.
const HALF_TOLERANCE: f32 = 0.01;

#[test]
fn half_precision_is_exported_built_and_run() {
    let Some(bench) = Bench::with_bundle("camera", "camera_decoder") else { return };
    let export = ["export", "weights", "--stages", "camera_decoder", "--out", "half", "--target", "standard"];
    bench.succeed(&[&export[..], &["--precision", "fp16"]].concat());
    bench.succeed(&["build", "half", "--out", "half_bundle", "--precision", "fp16"]);
    let manifest: Value =
        serde_json::from_slice(&fs::read(bench.path("half_bundle/bundle.json")).expect("it was built"))
            .expect("it is JSON");
    assert_eq!(manifest["stages"]["camera_decoder"]["default"]["precision"], "fp16");
    bench.write("in.safetensors", tokens());
    let camera = |bundle: &str| {
        let output = format!("{bundle}.safetensors");
        bench.succeed(&["stage", bundle, "camera_decoder", "--inputs", "in.safetensors", "--outputs", &output]);
        let tensors = read_tensors(&bench.path(&output)).expect("it was written");
        tensors.into_iter().find(|(name, _)| name == "camera").expect("the output").1
    };
    let (whole, half) = (camera("bundle"), camera("half_bundle"));
    let (whole, half) = (whole.as_f32().expect("floats"), half.as_f32().expect("floats"));
    let error = whole.iter().zip(half).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error > 0.0 && error < HALF_TOLERANCE, "{error}");
}

fn tokens() -> Vec<u8> {
    let ids: Vec<i64> = (0..30).map(|at| at * 8).collect();
    safetensors(&[("tokens", Dtype::I64, &[1, 30], words(&ids))])
}
