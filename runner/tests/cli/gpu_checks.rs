//! `egom2p gpu-check`: results of the processor, kept and held against. How long anything takes is never asserted.

use std::fs;

use egom2p::tensors::{read_tensors, write_tensors};
use egom2p_engine_core::Tensor;
use egom2p_engines::digest_file;
use serde_json::{Value, json};

use crate::{bench::Bench, transcript::Transcript};

/// Checks `bundle` against a folder, with as little of the benchmark as there can be.
fn check(reference: &str) -> [&str; 8] {
    ["gpu-check", "bundle", "--reference", reference, "--secs", "0", "--clips", "0"]
}

/// A bundle of one stage and the results that were kept of it.
fn with_reference() -> Option<Bench> {
    let bench = Bench::with_bundle("camera", "camera_decoder,camera_encoder")?;
    bench.succeed(&["gpu-check", "bundle", "--store", "reference"]);
    Some(bench)
}

fn renew(bench: &Bench) {
    let _ = fs::remove_dir_all(bench.path("bad"));
    bench.copy("reference", "bad");
}

fn change(bench: &Bench, change: impl FnOnce(&mut Value)) {
    let path = "bad/reference.json";
    let mut value: Value =
        serde_json::from_slice(&fs::read(bench.path(path)).expect("it is there")).expect("it is JSON");
    change(&mut value);
    bench.write(path, value.to_string());
}

/// Changes tensors of a file and makes the manifest say that the file is what it is now.
fn tamper(bench: &Bench, file: &str, change_tensors: impl FnOnce(&mut Vec<(String, Tensor)>)) {
    let path = bench.path("bad").join(file);
    let mut tensors = read_tensors(&path).expect("it was written");
    change_tensors(&mut tensors);
    write_tensors(&path, &tensors).expect("the folder is writable");
    let (digest, n_bytes) = digest_file(&path).expect("it is there");
    change(bench, |value| value["files"][file] = json!({ "bytes": n_bytes, "blake3": digest }));
}

fn floats(tensors: &mut [(String, Tensor)], name: &str, change: impl FnOnce(&mut [f32])) {
    let (_, tensor) = tensors.iter_mut().find(|(other, _)| other == name).expect("it is kept");
    let mut values = tensor.as_f32().expect("floats").to_vec();
    change(&mut values);
    *tensor = Tensor::f32(tensor.shape(), values).expect("the shape is that of the values");
}

#[test]
fn a_bundle_agrees_with_its_own_results() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    bench.succeed(&["gpu-check", "bundle", "--store", "reference"]);
    let n_bytes: u64 =
        bench.files().iter().filter(|(name, _)| name.starts_with("reference/")).filter_map(|(_, n)| *n).sum();
    assert!(n_bytes < 16_000_000, "{n_bytes}");
    let before = bench.files();
    let mut line = check("reference").to_vec();
    line.push("--json");
    let output = bench.run(&line);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((bench.files(), bench.leftovers()), (before, Vec::new()));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!((&report["passed"], &report["device"]), (&json!(true), &json!("the processor")));
    let checks = report["checks"].as_array().expect("a list");
    let names: Vec<&str> = checks.iter().filter_map(|check| check["check"].as_str()).collect();
    for name in [
        "camera_decoder.default.clips camera",
        "encoder.masked.padded context",
        "encoder.unmasked.usual context",
        "decoder.contextless.usual hidden",
        "decoder.masked.padded hidden",
        "decoder.unmasked.usual hidden",
        "head_camera.default.usual logits",
        "head_camera.default.usual arg-max",
        "greedy tokens, step by step",
        "greedy tokens",
        "tokens with published settings, first step",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    for check in checks {
        assert!(check["passed"] != json!(false) && check["nothing"].is_null(), "{check}");
        assert!(check["norm"].is_null() || check["norm"].as_f64() < Some(1e-12), "{check}");
        assert_eq!(check["equal"], check["of"], "{check}");
    }
    assert!(report["bench"]["engines"].as_array().is_some_and(|engines| engines.len() == 7));
}

#[test]
fn a_value_that_is_off_fails_after_everything_has_run() {
    let Some(bench) = with_reference() else { return };
    renew(&bench);
    tamper(&bench, "stages/camera_decoder.default.clip.safetensors", |tensors| {
        floats(tensors, "camera", |values| values[7] += 0.01);
    });
    let output = bench.run(&check("bad"));
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "checks of bundle failed, the first is camera_decoder.default.clip camera\n";
    assert!(stderr.contains("error: 1 of ") && stderr.contains(expected), "{stderr}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(row("camera_decoder.default.clip camera").ends_with("FAIL"), "{text}");
    assert!(row("camera_decoder.default.clips camera").ends_with("ok"), "{text}");
    assert!(text.contains("ceilings of this machine: ") && text.contains("bundle on the processor\n"), "{text}");

    // What is not among the kept elements shows in the statistics, and tokens are no floats.
    renew(&bench);
    tamper(&bench, "stages/camera_encoder.default.clip.safetensors", |tensors| {
        let tokens = tensors[0].1.as_i64().expect("tokens").iter().map(|token| (token + 1) % 256).collect();
        tensors[0].1 = Tensor::i64(tensors[0].1.shape(), tokens).expect("as many");
    });
    change(&bench, |value| {
        let record = &mut value["stages"][3];
        assert_eq!((&record["stage"], &record["case"]), (&json!("camera_decoder"), &json!("clips")));
        record["outputs"][0]["rms"] = json!(100.0);
    });
    let output = bench.run(&check("bad"));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = |start: &str| text.lines().any(|line| line.starts_with(start) && line.ends_with("FAIL"));
    assert!(failed("camera_encoder.default.clip tokens") && failed("camera_decoder.default.clips camera"), "{text}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "error: 2 of 5 checks of bundle failed, the first is camera_encoder.default.clip tokens\n";
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn results_of_another_model_are_refused() {
    let Some(bench) = with_reference() else { return };
    let mut transcript = Transcript::new(&bench);
    fs::rename(bench.path("bundle"), bench.path("first")).expect("room");
    for folder in ["weights", "onnx"] {
        fs::remove_dir_all(bench.path(folder)).expect("it is there");
    }
    let weights = ["weights", "reproducible", "--preset", "egom2p-tiny", "--parts", "camera,gaze", "--seed", "7"];
    bench.succeed(&[&weights[..], &["--out", "weights"]].concat());
    bench.succeed(&["export", "weights", "--stages", "camera_decoder", "--out", "onnx"]);
    bench.succeed(&["build", "onnx", "--out", "bundle"]);
    transcript.fails(&check("reference").join(" "));
    renew(&bench);
    change(&bench, |value| {
        value["config"]["motion"]["vocabulary"] = json!(512);
        value["preset"] = Value::Null;
    });
    transcript.fails("gpu-check first --reference bad");
    // Stages of which the results say nothing.
    bench.succeed(&["export", "weights", "--stages", "gaze_decoder", "--out", "onnx"]);
    bench.succeed(&["build", "onnx", "--out", "gaze"]);
    transcript.fails("gpu-check gaze --reference reference");
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn damaged_results_are_refused() {
    let Some(bench) = with_reference() else { return };
    let file = "stages/camera_decoder.default.clip.safetensors";
    let line = check("bad").join(" ");
    let mut transcript = Transcript::new(&bench);
    transcript.fails("gpu-check bundle --reference nothing");
    transcript.fails("gpu-check bundle --reference bundle");
    renew(&bench);
    bench.flip(&format!("bad/{file}"));
    transcript.fails(&line);
    fs::remove_file(bench.path(&format!("bad/{file}"))).expect("it is there");
    transcript.fails(&line);
    std::os::unix::fs::symlink("/etc/passwd", bench.path(&format!("bad/{file}"))).expect("room");
    transcript.fails(&line);
    let mut changed = |what: &dyn Fn(&mut Value)| {
        renew(&bench);
        change(&bench, what);
        transcript.fails(&line);
    };
    changed(&|value| value["schema"] = json!(2));
    changed(&|value| value["surprise"] = json!(true));
    changed(&|value| value["stages"][0]["file"] = json!("../bundle/bundle.json"));
    changed(&|value| value["stages"][0]["file"] = json!("stages/other.safetensors"));
    changed(&|value| value["stages"][0]["inputs"] = json!("0".repeat(64)));
    changed(&|value| value["stages"][0]["outputs"][0]["shape"] = json!([1_u64 << 40, 1_u64 << 40]));
    changed(&|value| value["stages"][0]["outputs"][0]["n_elements"] = json!(3));
    changed(&|value| value["stages"][0]["outputs"][0]["stride"] = json!(0));
    changed(&|value| value["files"][file]["bytes"] = json!(1_u64 << 50));
    changed(&|value| value["config"]["dim"] = json!(193));
    renew(&bench);
    tamper(&bench, file, |tensors| tensors.retain(|(name, _)| name != "camera"));
    transcript.fails(&line);
    for text in ["", "null", &"[".repeat(100_000)] {
        bench.write("bad/reference.json", text);
        transcript.fails(&line);
    }
    insta::assert_snapshot!(transcript.text_without_sizes());
}

#[test]
fn a_check_needs_one_of_two_folders() {
    let bench = Bench::new();
    let mut transcript = Transcript::new(&bench);
    transcript.misused("gpu-check bundle");
    transcript.misused("gpu-check bundle --store a --reference b");
    transcript.misused("gpu-check bundle --store a --secs 1");
    transcript.fails("gpu-check bundle --store a");
    assert!(bench.files().is_empty());
    insta::assert_snapshot!(transcript.text());
}
