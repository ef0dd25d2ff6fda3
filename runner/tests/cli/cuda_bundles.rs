//! Bundles of ONNX Runtime for a GPU on a machine without one: they are built and inspected, and never run elsewhere.

use std::fs;

use egom2p_engine_core::Device;
use egom2p_engines::BundleManifest;
use safetensors::Dtype;
use serde_json::Value;

use crate::{
    bench::{Bench, skipped},
    tensor_files::{rgb_tokens, safetensors, words},
    transcript::Transcript,
};

/// What the library of ONNX Runtime can run engines on, and whether there is a GPU.
fn devices(bench: &Bench) -> (bool, bool) {
    let output = bench.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let findings = report["findings"].as_array().expect("a list");
    let of = |name: &str| findings.iter().find(|finding| finding["name"] == name).expect("it is looked for");
    let has_provider = of("ONNX Runtime")["more"][0].as_str().expect("a line") != "runs engines on cpu";
    (has_provider, of("NVIDIA GPUs")["found"].is_string())
}

#[test]
fn they_are_built_anywhere_and_run_only_on_a_gpu() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    let stages = "encoder,decoder,head_camera,camera_decoder";
    bench.succeed(&["export", "weights", "--stages", stages, "--out", "standard", "--target", "standard"]);
    let build = ["build", "standard", "--out", "cuda", "--device", "cuda"];
    let output = bench.run(&build);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("engines built for cuda, 0 unchanged"), "{text}");
    let again = bench.run(&build);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(text.contains("nothing to do"), "{text}");
    let manifest = BundleManifest::read(&bench.path("cuda")).expect("a bundle");
    assert!(manifest.stages.values().flat_map(|stage| stage.values()).all(|engine| engine.device == Device::Cuda));
    let inspected = bench.run(&["inspect", "cuda", "--digests"]);
    let text = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert_eq!(inspected.status.code(), Some(0), "{text}");
    assert!(text.lines().any(|line| line.split_whitespace().any(|word| word == "cuda")), "{text}");

    let (has_provider, has_gpu) = devices(&bench);
    if has_gpu {
        return skipped("this machine has a GPU");
    }
    bench.write("in.safetensors", safetensors(&[("tokens", Dtype::I64, &[1, 30], words(&[8; 30]))]));
    bench.write("rgb.npy", rgb_tokens());
    let stage = "stage cuda camera_decoder --inputs in.safetensors --outputs out.safetensors";
    let mut transcript = Transcript::new(&bench);
    transcript.fails(stage);
    transcript.fails("run cuda --tokens rgb=rgb.npy --to camera --steps 1 --out out");
    let text = transcript.text();
    let expected =
        if has_provider { "error: t" } else { "error: this library of ONNX Runtime has no CUDA provider: /" };
    assert!(text.contains(expected), "{text}");

    // The same bundle, built again for the processor, runs.
    bench.succeed(&["build", "standard", "--out", "cuda"]);
    bench.succeed(&stage.split(' ').collect::<Vec<_>>());
    assert!(fs::metadata(bench.path("out.safetensors")).is_ok_and(|file| file.len() > 0));
}

#[test]
fn engines_for_two_devices_do_not_run_together() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    let stages = "encoder,decoder,head_camera,camera_decoder";
    bench.succeed(&["export", "weights", "--stages", stages, "--out", "standard", "--target", "standard"]);
    bench.succeed(&["build", "standard", "--out", "mixed"]);
    bench.succeed(&["build", "standard", "--out", "mixed", "--device", "cuda", "--stages", "camera_decoder"]);
    bench.write("rgb.npy", rgb_tokens());
    let mut transcript = Transcript::new(&bench);
    for flag in ["", " --batch 2", " --streams 2"] {
        transcript.fails(&format!("run mixed --tokens rgb=rgb.npy --to camera --out out{flag}"));
    }
    let refusal = "error: bundle mixed has engines for the processor (decoder, encoder, head_camera) and engines for a GPU (camera_decoder)\n";
    let text = transcript.text();
    assert_eq!(text.matches(refusal).count(), 3, "{text}");
    assert!(!bench.path("out").exists());
}

#[test]
fn every_precision_of_the_standard_export_is_built() {
    let Some(bench) = Bench::with_bundle("camera", "camera_decoder") else { return };
    for precision in ["fp16", "bf16"] {
        let export = ["export", "weights", "--stages", "camera_decoder", "--out", precision, "--target", "standard"];
        bench.succeed(&[&export[..], &["--precision", precision]].concat());
        let bundle = format!("{precision}_bundle");
        bench.succeed(&["build", precision, "--out", &bundle, "--device", "cuda", "--precision", precision]);
        let manifest = BundleManifest::read(&bench.path(&bundle)).expect("a bundle");
        assert_eq!(manifest.stages["camera_decoder"]["default"].precision, precision);
    }
    let mut transcript = Transcript::new(&bench);
    transcript.fails("build fp16 --out new --device cuda --precision fp32");
    transcript.fails("build onnx --out new --device cuda");
    insta::assert_snapshot!(transcript.text());
}
