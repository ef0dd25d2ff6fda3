//! `egom2p inspect` on everything that commands write.

use std::fs;

use serde_json::Value;

use crate::{
    bench::Bench,
    tensor_files::{npy, rgb_tokens},
    transcript::Transcript,
};

fn json(bench: &Bench, arguments: &[&str]) -> Value {
    let output = bench.run(&[&["inspect", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one object")
}

#[test]
fn weights_and_arrays() {
    let bench = Bench::with_weights("gaze,camera");
    bench.write("rgb.npy", npy(&[2, 3], &[0, 1, 2, 3, 4, 5]));
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("inspect weights");
    transcript.succeeds("inspect weights --digests");
    transcript.succeeds("inspect weights/gaze.safetensors");
    transcript.succeeds("inspect rgb.npy");
    insta::assert_snapshot!(transcript.text());

    let weights = json(&bench, &["weights", "--digests"]);
    assert_eq!(weights["kind"], "weights");
    assert_eq!(weights["preset"], "egom2p-tiny");
    assert_eq!(weights["config"]["dim"], 192);
    let digest = weights["parts"]["gaze.safetensors"]["blake3"].as_str().expect("a digest");
    assert_eq!(digest.len(), 64);
    let file = json(&bench, &["weights/gaze.safetensors", "--digests"]);
    assert_eq!(file["blake3"], digest);
    assert_eq!(file["tensors"].as_array().map(Vec::len), Some(121));
    assert_eq!(json(&bench, &["rgb.npy"])["max"], 5.0);
}

#[test]
fn exported_folders_and_onnx_files() {
    let bench = Bench::with_weights("model");
    bench.succeed(&["export", "weights", "--stages", "encoder,head_gaze", "--out", "onnx"]);
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("inspect onnx");
    transcript.succeeds("inspect onnx --digests");
    transcript.succeeds("inspect onnx/head_gaze.onnx");
    insta::assert_snapshot!(transcript.text_without_sizes());

    let folder = json(&bench, &["onnx", "--digests"]);
    assert_eq!(folder["kind"], "exported");
    assert_eq!(folder["files"]["model.weights"], "verified");
    let encoder = json(&bench, &["onnx/encoder.masked.onnx"]);
    assert_eq!(
        encoder["inputs"][0],
        serde_json::json!({ "name": "tokens", "dtype": "i64", "shape": ["batch", "visible"] })
    );
    assert_eq!(encoder["outputs"][0]["shape"], serde_json::json!(["batch", "visible", 192]));
    let n_nodes = encoder["nodes"].as_array().expect("a list").len();
    let counted: u64 = encoder["operators"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    assert_eq!(n_nodes as u64, counted);
    let cut = bench.run(&["inspect", "onnx/encoder.masked.onnx"]);
    assert!(String::from_utf8_lossy(&cut.stdout).ends_with(&format!("… {} more (--all shows them)\n", n_nodes - 20)));
    let all = bench.run(&["inspect", "onnx/encoder.masked.onnx", "--all"]);
    assert!(!String::from_utf8_lossy(&all.stdout).contains("--all"));
}

#[test]
fn bundles_and_predictions() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    bench.write("rgb.npy", rgb_tokens());
    bench.succeed(&["run", "bundle", "--tokens", "rgb=rgb.npy", "--to", "camera", "--out", "out", "--threads", "1"]);
    let mut transcript = Transcript::new(&bench);
    transcript.succeeds("inspect bundle");
    transcript.succeeds("inspect out");
    insta::assert_snapshot!(transcript.text_without_sizes());

    let bundle = json(&bench, &["bundle"]);
    assert_eq!(bundle["kind"], "bundle");
    assert_eq!(bundle["manifest"]["stages"]["encoder"]["masked"]["precision"], "fp32");
    let run = json(&bench, &["out"]);
    assert_eq!(run["kind"], "run");
    assert_eq!(run["run"]["settings"]["targets"][0]["modality"], "camera");
    assert!(run["files"]["camera.npy"].is_u64());
}

#[test]
fn problems_are_named_and_fail() {
    let bench = Bench::with_weights("camera,gaze");
    bench.succeed(&["export", "weights", "--out", "onnx"]);
    bench.flip("onnx/camera.weights");
    fs::remove_file(bench.path("onnx/gaze_encoder.onnx")).expect("it is there");
    fs::copy(bench.path("weights/gaze.safetensors"), bench.path("weights/camera.safetensors")).expect("room");
    let mut transcript = Transcript::new(&bench);
    transcript.fails("inspect weights");
    transcript.fails("inspect onnx");
    transcript.fails("inspect onnx --digests");
    insta::assert_snapshot!(transcript.text_without_sizes());
    let output = bench.run(&["inspect", "onnx", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(report["problems"], serde_json::json!(["gaze_encoder.onnx is missing"]));
}

/// Names inside files are foreign: they cannot move the cursor or fake lines.
#[test]
fn foreign_names_stay_on_their_line() {
    let bench = Bench::new();
    let name = "a\u{1b}[2J\nerror: fake";
    bench
        .write("names.safetensors", crate::tensor_files::safetensors(&[(name, safetensors::Dtype::U8, &[1], vec![0])]));
    let output = bench.run(&["inspect", "names.safetensors"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("a\\u{1b}[2J\\nerror: fake"), "{text}");
    assert!(!text.contains('\u{1b}'));
}
