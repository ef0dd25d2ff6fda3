//! Bundles and exported folders that were damaged, cut or forged.

use std::{fs, path::Path};

use egom2p_engines::digest_file;
use serde_json::{Value, json};

use crate::{bad_models::nested_too_deeply, bench::Bench, tensor_files::rgb_tokens, transcript::Transcript};

const RUN: &str = "run bad --tokens rgb=rgb.npy --to camera --out out";

/// A bundle, tokens for it, and a way to make `bad` from it again.
fn bench() -> Option<Bench> {
    let bench = Bench::with_camera_bundle()?;
    bench.write("rgb.npy", rgb_tokens());
    Some(bench)
}

fn renew(bench: &Bench) {
    let _ = fs::remove_dir_all(bench.path("bad"));
    bench.copy("bundle", "bad");
}

fn change(bench: &Bench, manifest: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value =
        serde_json::from_slice(&fs::read(bench.path(manifest)).expect("it is there")).expect("it is JSON");
    change(&mut value);
    bench.write(manifest, value.to_string());
}

/// Makes a manifest say that a file is what it is now.
fn forge(bench: &Bench, folder: &str, manifest: &str, file: &str) {
    let (digest, n_bytes) = digest_file(&bench.path(folder).join(file)).expect("it is there");
    change(bench, &format!("{folder}/{manifest}"), |value| {
        value["files"][file] = json!({ "bytes": n_bytes, "blake3": digest });
    });
}

/// The engine file of a stage.
fn engine(bench: &Bench, stage: &str) -> String {
    let engines = fs::read_dir(bench.path("bad/engines")).expect("a bundle has engines");
    let names = engines.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let is_it = |name: &String| name.starts_with(stage) && Path::new(name).extension().is_some_and(|end| end == "onnx");
    format!("engines/{}", names.into_iter().find(is_it).expect("the stage was built"))
}

/// The last lines of a failing run, with digests and engine names left out.
fn refusal(transcript: Transcript<'_>) -> String {
    transcript.text_without_sizes()
}

#[test]
fn changed_and_missing_files_are_refused() {
    let Some(bench) = bench() else { return };
    renew(&bench);
    bench.flip("bad/onnx/model.weights");
    let mut transcript = Transcript::new(&bench);
    transcript.fails(RUN);
    for stage in ["encoder.unmasked", "head_camera"] {
        renew(&bench);
        bench.flip(&format!("bad/{}", engine(&bench, stage)));
        let output = bench.run(&RUN.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(1), "{stage}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains("has changed: expected digest"), "{stage}: {stderr}");
        assert!(bench.leftovers().is_empty());
    }
    renew(&bench);
    bench.write("bad/onnx/model.weights", "short");
    transcript.fails(RUN);
    fs::remove_file(bench.path("bad/onnx/model.weights")).expect("it is there");
    transcript.fails(RUN);
    std::os::unix::fs::symlink("/etc/passwd", bench.path("bad/onnx/model.weights")).expect("room");
    transcript.fails(RUN);
    insta::assert_snapshot!(refusal(transcript));
}

#[test]
fn manifests_that_say_other_things_are_refused() {
    let Some(bench) = bench() else { return };
    let manifest = "bad/bundle.json";
    let mut transcript = Transcript::new(&bench);
    let mut refused = |what: &dyn Fn(&mut Value)| {
        renew(&bench);
        change(&bench, manifest, what);
        transcript.fails(RUN);
    };
    refused(&|value| value["schema"] = json!(3));
    refused(&|value| value["schema"] = json!(1));
    refused(&|value| value["schema"] = json!("one"));
    refused(&|value| {
        value["stages"].as_object_mut().expect("stages").remove("head_camera");
    });
    refused(&|value| {
        value["stages"]["decoder"].as_object_mut().expect("variants").retain(|name, _| name == "contextless");
    });
    refused(&|value| value["stages"]["encoder"]["unmasked"]["engine"] = json!([]));
    refused(&|value| value["stages"]["encoder"]["unmasked"]["engine"] = json!(["/etc/passwd"]));
    refused(&|value| value["stages"]["encoder"]["unmasked"]["engine"] = json!(["../bundle/onnx/model.weights"]));
    refused(&|value| value["stages"]["encoder"]["unmasked"]["weights"] = json!(["onnx/other.weights"]));
    refused(&|value| value["stages"]["encoder"]["unmasked"]["backend"] = json!("abacus"));
    refused(&|value| value["stages"]["encoder"]["unmasked"]["libraries"] = json!({ "onnxruntime": "0.1.0" }));
    refused(&|value| value["files"]["/etc/passwd"] = value["files"]["onnx/model.weights"].clone());
    refused(&|value| value["config"]["video"]["frames"] = json!(1_600_000_000_000_u64));
    refused(&|value| value["config"]["dim"] = json!(193));
    refused(&|value| value["surprise"] = json!(true));
    for text in ["", "{", "null", &"[".repeat(100_000), "{\"schema\": 2}"] {
        renew(&bench);
        bench.write(manifest, text);
        transcript.fails(RUN);
    }
    fs::remove_file(bench.path(manifest)).expect("it is there");
    transcript.fails(RUN);
    insta::assert_snapshot!(refusal(transcript));
}

#[test]
fn a_forged_engine_is_refused() {
    let Some(bench) = bench() else { return };
    renew(&bench);
    let engine = engine(&bench, "encoder.unmasked");
    for bytes in [nested_too_deeply(), b"\xff".repeat(1000), Vec::new()] {
        bench.write(&format!("bad/{engine}"), bytes);
        forge(&bench, "bad", "bundle.json", &engine);
        Transcript::new(&bench).fails(RUN);
    }
}

#[test]
fn exports_that_were_changed_are_not_built() {
    let Some(bench) = Bench::with_bundle("camera", "camera_decoder") else { return };
    fs::remove_dir_all(bench.path("bundle")).expect("it is there");
    let renew = || {
        let _ = fs::remove_dir_all(bench.path("bad"));
        bench.copy("onnx", "bad");
    };
    let build = "build bad --out bundle";
    let mut transcript = Transcript::new(&bench);
    renew();
    bench.flip("bad/camera.weights");
    transcript.fails(build);
    renew();
    bench.flip("bad/camera_decoder.onnx");
    transcript.fails(build);
    renew();
    fs::remove_file(bench.path("bad/camera_decoder.onnx")).expect("it is there");
    transcript.fails(build);
    for bytes in [nested_too_deeply(), b"\xff".repeat(1000), Vec::new()] {
        renew();
        bench.write("bad/camera_decoder.onnx", bytes);
        forge(&bench, "bad", "export.json", "camera_decoder.onnx");
        transcript.fails(build);
    }
    for (from, to) in [
        ("\"schema\": 2", "\"schema\": 3"),
        ("\"onnxruntime-cpu\"", "\"abacus\""),
        ("\"camera.weights\"", "\"../camera.weights\""),
        ("\"camera.weights\"", "\"/etc/passwd\""),
        ("\"camera_decoder\": [", "\"../camera_decoder\": ["),
        ("\"min\": 1", "\"min\": 100"),
    ] {
        renew();
        bench.replace("bad/export.json", from, to);
        transcript.fails(build);
    }
    insta::assert_snapshot!(refusal(transcript));
}

#[test]
fn profiles_that_make_no_sense_are_refused() {
    let Some(bench) = Bench::with_bundle("camera", "camera_decoder") else { return };
    fs::remove_dir_all(bench.path("bundle")).expect("it is there");
    let mut transcript = Transcript::new(&bench);
    for text in [
        "{",
        "{\"batch\": {\"min\": 4, \"opt\": 2, \"max\": 1}}",
        "{\"smell\": {\"min\": 1, \"opt\": 1, \"max\": 1}}",
        "{\"batch\": 3}",
        "[{\"batch\": {\"min\": 1, \"opt\": 1, \"max\": 1}},\n {\"batch\": 3}]",
        "[{}, {\"batch\": {\"min\": 4, \"opt\": 2, \"max\": 1}}]",
        "{\"stages\": {\"encoder\": []}}",
        "{\"stages\": {\"camera_decoder\": [{\"visible\": {\"min\": 1, \"opt\": 1, \"max\": 1}}]}}",
        "{\"profiles\": [], \"steps\": []}",
        &" ".repeat(1 << 21),
        &"[".repeat(100_000),
    ] {
        bench.write("profile.json", text);
        transcript.fails("build onnx --profile profile.json --out bundle");
    }
    transcript.fails("build onnx --profile missing.json --out bundle");
    transcript.fails("build onnx --stages encoder --out bundle");
    transcript.fails("build onnx --onnxruntime profile.json --out bundle");
    insta::assert_snapshot!(refusal(transcript));
}
