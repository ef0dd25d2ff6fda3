//! What `egom2p bench` says of a bundle. How long anything takes is never asserted.

use std::fs;

use egom2p_model::{Modality, Preset};
use serde_json::{Value, json};

use crate::{bench::Bench, engine_files::write_bundle, transcript::Transcript};

/// The bundle of [`Bench::with_camera_bundle`], measured as quickly as can be.
const QUICK: [&str; 9] = ["bench", "bundle", "--secs", "0", "--clips", "1", "--steps", "1", "--json"];

fn report(bench: &Bench, arguments: &[&str]) -> Value {
    let output = bench.run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one object")
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0 && value.is_finite())
}

#[test]
fn engines_and_clips_of_a_bundle_are_measured() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    let before = bench.files();
    let report = report(&bench, &QUICK);
    assert_eq!(bench.files(), before);
    assert_eq!((&report["schema"], &report["bundle"]["preset"]), (&json!(1), &json!("egom2p-tiny")));
    let engines = report["engines"].as_array().expect("a list");
    let names: Vec<_> = engines.iter().map(|engine| format!("{}.{}", engine["stage"], engine["variant"])).collect();
    let names: Vec<_> = names.iter().map(|name| name.replace('"', "")).collect();
    let expected = [
        "camera_decoder.default",
        "encoder.masked",
        "encoder.unmasked",
        "decoder.contextless",
        "decoder.masked",
        "decoder.unmasked",
        "head_camera.default",
    ];
    assert_eq!(names, expected);
    for engine in engines {
        assert_eq!((&engine["backend"], &engine["precision"]), (&json!("onnxruntime"), &json!("fp32")));
        assert!(engine["runs"].as_u64() >= Some(3) && engine["warm_up_runs"].as_u64() >= Some(1), "{engine}");
        for name in ["median_secs", "p95_secs", "min_secs", "load_secs", "tokens_per_sec", "share_of_ceiling"] {
            assert!(is_positive(&engine[name]), "{name}: {engine}");
        }
        let [min, median, p95] = ["min_secs", "median_secs", "p95_secs"].map(|name| engine[name].as_f64());
        assert!(min <= median && median <= p95, "{engine}");
    }

    let config = Preset::Tiny.config();
    let head = &engines[6];
    let queries = head["dims"]["queries"].as_u64().expect("a length");
    let (dim, vocabulary) = (config.dim as u64, config.vocabulary(Modality::Camera) as u64);
    assert_eq!(head["flops"], 2 * queries * dim * vocabulary);
    assert_eq!(head["bytes"], 4 * (queries * dim + dim * vocabulary + queries * vocabulary));
    assert_eq!(head["tokens"], queries);

    let n_tokens = config.n_tokens(Modality::Camera);
    let clips = &report["clips"]["tokens"];
    assert_eq!((&clips["runs"], &clips["tokens"]), (&json!(1), &json!(n_tokens)));
    assert!(is_positive(&clips["clips_per_sec"]) && is_positive(&clips["mean_secs"]["generate"]), "{clips}");
    assert_eq!(clips["engines"]["encoder.unmasked"]["calls"], 1);
    assert_eq!(report["clips"]["predictions"], json!({ "left_out": "this bundle has no stage video_encoder" }));
    assert_eq!(report["settings"]["generation"]["targets"][0]["steps"], 1);
    for name in ["matrix_flops_per_sec", "memory_bytes_per_sec"] {
        assert!(is_positive(&report["ceilings"][name]), "{name}");
    }
    assert!(is_positive(&report["memory"]["host_peak_bytes"]));
    assert_eq!(report["memory"]["device_peak_bytes"], Value::Null);
    assert_eq!(report["memory"]["device_left_out"], "these engines run on the processor");
}

#[test]
fn a_table_shows_every_engine_and_why_clips_are_left_out() {
    let Some(bench) = Bench::with_bundle("camera", "camera_decoder") else { return };
    let output = bench.run(&["bench", "bundle", "--secs", "0", "--stages", "camera_decoder", "--threads", "1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let starts =
        ["bundle: egom2p-tiny, onnxruntime", "ceilings of this machine: ", "engine ", "camera_decoder.default "];
    for start in starts {
        assert!(text.lines().any(|line| line.starts_with(start)), "{start}: {text}");
    }
    let why = "this bundle has no stage that gives tokens of depth, camera or gaze";
    for scope in ["predictions", "tokens"] {
        assert!(text.contains(&format!("clips to {scope}: not measured, {why}\n")), "{text}");
    }
    assert!(output.stderr.is_empty());
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let bench = Bench::new();
    write_bundle(&bench);
    bench.copy("bundle", "bare");
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(bench.path("bare/bundle.json")).expect("it was written")).expect("it is JSON");
    (manifest["stages"], manifest["files"]) = (json!({}), json!({}));
    bench.write("bare/bundle.json", manifest.to_string());
    fs::create_dir(bench.path("empty")).expect("room");
    let mut transcript = Transcript::new(&bench);
    for line in [
        "bench nothing",
        "bench empty",
        "bench bare",
        "bench bundle --stages encoder",
        "bench bundle --to gaze",
        "bench bundle --tokens rgb=nothing.npy",
    ] {
        transcript.fails(line);
    }
    for line in [
        "bench bundle --stages dream",
        "bench bundle --to smell",
        "bench bundle --secs soon",
        "bench bundle --clips -1",
    ] {
        transcript.misused(line);
    }
    insta::assert_snapshot!(transcript.text());
}

#[cfg(not(feature = "tensorrt"))]
#[test]
fn compiled_engines_are_refused_without_their_library() {
    let bench = Bench::new();
    write_bundle(&bench);
    let mut transcript = Transcript::new(&bench);
    transcript.fails("bench bundle");
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn a_clip_that_cannot_be_decoded_is_refused_before_engines_are_measured() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    let mut transcript = Transcript::new(&bench);
    transcript.fails("bench bundle --to camera,camera");
    transcript.fails("bench bundle --to camera --steps 0");
    transcript.fails("bench bundle --to camera --guidance inf");
    insta::assert_snapshot!(transcript.text());
}
