//! `TensorRT` for RTX where its libraries are, and `TensorRT` where they are not. None of it takes a GPU.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use egom2p_engine_core::{EngineRecord, EngineTarget};
use egom2p_engines::BundleManifest;
use safetensors::Dtype;
use serde_json::Value;

use crate::{
    bench::{Bench, skipped},
    tensor_files::{rgb_tokens, safetensors, words},
    transcript::Transcript,
};

const BUILD: &str = "build onnx --backend tensorrt-rtx --compute-capability 8.6";

/// The folder that the set-up puts the libraries in.
fn libraries() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache/tensorrt/rtx-1.7.1.116");
    if folder.is_dir() {
        return Some(folder);
    }
    skipped("run \"cargo xtask setup\" to test what needs TensorRT for RTX");
    None
}

/// With stages of `egom2p-tiny` in `weights` and, for every reader, in `onnx`.
fn exported(parts: &str, stages: &str) -> Option<Bench> {
    libraries()?;
    let bench = Bench::with_weights(parts);
    bench.succeed(&["export", "weights", "--stages", stages, "--out", "onnx", "--target", "standard"]);
    Some(bench)
}

/// Whether this machine has a GPU that engines would be built for and run on.
fn has_gpu(bench: &Bench) -> bool {
    let output = bench.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().any(|finding| finding["name"] == "NVIDIA GPUs" && finding["found"].is_string())
}

fn words_of(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn engines_are_built_kept_and_described() {
    let Some(bench) = exported("camera", "camera_decoder") else { return };
    let range = |max| format!("{{\"batch\": {{\"min\": 1, \"opt\": 1, \"max\": {max}}}}}");
    bench.write("profile.json", format!("[{}, {}]", range(1), range(8)));
    let build = format!("{BUILD},8.9 --out bundle --profile profile.json --optimization-level 2 --workspace 512MB");
    let output = bench.run(&words_of(&build));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.lines().any(|line| line.starts_with("built camera_decoder default in ")), "{stderr}");
    let header = ["stage", "variant", "time", "engine", "activations", "peak", "memory"];
    assert!(stderr.lines().any(|line| line.split_whitespace().eq(header)), "{stderr}");

    let manifest = BundleManifest::read(&bench.path("bundle")).expect("a bundle");
    let variant = &manifest.stages["camera_decoder"]["default"];
    let record = EngineRecord::read(&EngineRecord::path(&variant.engine[0].below(&bench.path("bundle"))));
    let record = record.expect("a record");
    let EngineTarget::ComputeCapabilities(capabilities) = &record.target else { panic!("{:?}", record.target) };
    assert_eq!(capabilities.iter().map(ToString::to_string).collect::<Vec<_>>(), ["8.6", "8.9"]);
    assert_eq!(record.profiles.iter().map(|profile| profile.dims["batch"].max).collect::<Vec<_>>(), [1, 8]);
    assert_eq!((record.options.optimization_level, record.options.workspace_bytes), (Some(2), Some(512_000_000)));
    assert_eq!(
        (&record.target, &record.options, &record.profiles),
        (&variant.target, &variant.options, &variant.profiles)
    );
    assert_eq!(record.onnx, Some(manifest.files[&variant.onnx].blake3));
    assert!(!record.layers.is_empty() && record.memory.activation_bytes.is_some() && record.build_secs.is_some());

    let before = bench.files();
    let output = bench.run(&words_of(&build));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing to do, 1 engine is up to date"));
    assert_eq!(bench.files(), before);
    bench.succeed(&["inspect", "bundle", "--digests"]);
    let engine = format!("bundle/{}", variant.engine[0]);
    bench.succeed(&["inspect", &engine, "--digests"]);
    bench.flip(&engine);
    Transcript::new(&bench).fails("inspect bundle --digests");
    bench.succeed(&words_of(&format!("{build} --verify")));
    bench.succeed(&["inspect", "bundle", "--digests"]);
}

#[test]
fn what_cannot_be_built_is_refused() {
    let Some(bench) = exported("camera", "camera_decoder") else { return };
    bench.succeed(&["export", "weights", "--stages", "camera_decoder", "--out", "cpu"]);
    for folder in ["none", "wrong", "other"] {
        fs::create_dir(bench.path(folder)).expect("room");
    }
    let names = ["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"];
    for name in names {
        bench.write(&format!("wrong/{name}"), "no library");
        let parser = libraries().expect("it was there").join(names[1]);
        fs::copy(parser, bench.path("other").join(name)).expect("room");
    }
    let mut transcript = Transcript::new(&bench);
    for line in [
        format!("{BUILD} --tensorrt nowhere --out bundle"),
        format!("{BUILD} --tensorrt none --out bundle"),
        format!("{BUILD} --tensorrt wrong --out bundle"),
        format!("{BUILD} --tensorrt other --out bundle"),
        "build onnx --backend tensorrt --tensorrt none --out bundle".to_owned(),
        "build onnx --backend tensorrt-rtx --compute-capability 1.0 --out bundle".to_owned(),
        format!("{BUILD} --device cpu --out bundle"),
        format!("{BUILD} --version-compatible --out bundle"),
        format!("{BUILD} --precision fp16 --out bundle"),
        format!("{BUILD} --stages encoder --out bundle"),
        format!("{BUILD} --engine encoder.masked=onnx/camera_decoder.onnx --out bundle"),
        BUILD.replace("onnx", "cpu") + " --out bundle",
    ] {
        transcript.fails(&line);
    }
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn what_takes_a_gpu_says_so() {
    let Some(bench) = exported("camera", "camera_decoder") else { return };
    if has_gpu(&bench) {
        return skipped("this machine has a GPU");
    }
    bench.succeed(&words_of(&format!("{BUILD} --out bundle")));
    let tokens = safetensors(&[("tokens", Dtype::I64, &[1, 30], words(&[0; 30]))]);
    bench.write("in.safetensors", tokens);
    let mut transcript = Transcript::new(&bench);
    for (line, expected) in [
        ("build onnx --backend tensorrt-rtx --out new", "there is no CUDA driver"),
        ("stage bundle camera_decoder --inputs in.safetensors --outputs out.safetensors", "compute capability 8.6"),
    ] {
        transcript.fails(line);
        let output = bench.run(&words_of(line));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(expected), "{stderr}");
    }
    let doctor = bench.run(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains("\nTensorRT for RTX: 1.7.1 at "), "{text}");
    assert!(text.contains("\n  builds for compute capability 8.6\n"), "{text}");
    assert!(text.contains("\nNVIDIA GPUs: missing "), "{text}");
}

#[test]
fn damaged_engines_and_records_are_found_before_they_are_loaded() {
    let Some(bench) = exported("camera", "camera_decoder") else { return };
    bench.succeed(&words_of(&format!("{BUILD} --out bundle")));
    let tokens = safetensors(&[("tokens", Dtype::I64, &[1, 30], words(&[0; 30]))]);
    bench.write("in.safetensors", tokens);
    let manifest = BundleManifest::read(&bench.path("bundle")).expect("a bundle");
    for file in &manifest.stages["camera_decoder"]["default"].engine {
        let file = format!("bundle/{file}");
        let whole = fs::read(bench.path(&file)).expect("it was built");
        let line = "stage bundle camera_decoder --inputs in.safetensors --outputs out.safetensors";
        bench.flip(&file);
        Transcript::new(&bench).fails(line);
        let flipped = bench.run(&words_of(line));
        let stderr = String::from_utf8_lossy(&flipped.stderr).into_owned();
        assert!(stderr.contains(&format!("{file} has changed: expected digest")), "{stderr}");
        bench.write(&file, &whole[..whole.len() / 2]);
        Transcript::new(&bench).fails(line);
        bench.write(&file, whole);
    }
}

#[test]
fn a_run_on_compiled_engines_without_a_gpu_is_refused() {
    let Some(bench) = exported("model,camera", "encoder,decoder,head_camera,camera_decoder") else { return };
    if has_gpu(&bench) {
        return skipped("this machine has a GPU");
    }
    bench.succeed(&words_of(&format!("{BUILD} --out bundle")));
    bench.write("rgb.npy", rgb_tokens());
    Transcript::new(&bench).fails("run bundle --tokens rgb=rgb.npy --to camera --out out");
}

/// The compiler works in threads of its own when the signal comes.
#[test]
fn an_interrupted_compiler_leaves_nothing() {
    let Some(bench) = exported("model", "decoder") else { return };
    let before = bench.files();
    for signal in ["INT", "TERM"] {
        let arguments = format!("{BUILD} --out deep/bundle");
        let mut command = bench.command(&words_of(&arguments));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        while bench.leftovers().is_empty() {
            assert!(child.try_wait().expect("it is our child").is_none(), "it ended before it wrote");
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_secs(1));
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        assert_eq!(child.wait().expect("it is our child").code(), Some(130));
        assert_eq!(bench.files(), before);
    }
}
