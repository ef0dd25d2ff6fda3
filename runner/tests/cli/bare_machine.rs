//! A machine with no native library at all: what needs none still works, and what needs one says which.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{bench::Bench, tensor_files::npy};

/// What the binary may be linked with: the C library, its parts, and the compiler's runtime.
const LINKED: [&str; 8] =
    ["linux-vdso.so", "libc.so", "libm.so", "libgcc_s.so", "ld-linux", "libdl.so", "libpthread.so", "librt.so"];

/// The binary where none of the project's files is near, and no variable is set.
fn alone(bench: &Bench, arguments: &[&str]) -> Command {
    let program = bench.path("egom2p");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_egom2p"), &program).expect("room");
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(bench.folder()).env_clear().env("LD_LIBRARY_PATH", "/nowhere");
    command
}

#[test]
fn the_binary_links_nothing_native() {
    let output = Command::new("ldd").arg(env!("CARGO_BIN_EXE_egom2p")).output().expect("ldd is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("libc.so"), "{text}");
    for line in text.lines() {
        let library = line.split_whitespace().next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        // The feature brings C++ code, and with it the compiler's C++ runtime.
        let is_runtime = cfg!(feature = "tensorrt") && library.starts_with("libstdc++.so");
        assert!(is_runtime || LINKED.iter().any(|name| library.starts_with(name)), "{library} is linked");
    }
}

#[test]
fn pure_commands_work_without_native_libraries() {
    let bench = Bench::new();
    bench.write("rgb.npy", npy(&[2], &[1, 2]));
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["run", "--help"], 0),
        (&["--version"], 0),
        (&["doctor"], 0),
        (&["doctor", "--json"], 0),
        (&["dance"], 2),
        (&["run"], 2),
        (&["weights", "reproducible", "--preset", "egom2p-tiny", "--parts", "gaze", "--out", "weights"], 0),
        (&["export", "weights", "--out", "onnx"], 0),
        (&["inspect", "weights"], 0),
        (&["inspect", "weights/gaze.safetensors", "--json"], 0),
        (&["inspect", "onnx"], 0),
        (&["inspect", "onnx/gaze_encoder.onnx", "--all"], 0),
        (&["inspect", "rgb.npy"], 0),
        (&["compare", "rgb.npy", "rgb.npy"], 0),
    ] {
        let output = alone(&bench, arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_doctor_says_what_is_missing() {
    let bench = Bench::new();
    let output = alone(&bench, &["doctor", "--json"]).output().expect("the binary runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let findings = report["findings"].as_array().expect("a list");
    let names: Vec<_> = findings.iter().map(|finding| finding["name"].as_str().expect("a name")).collect();
    assert_eq!(names[..3], ["ONNX Runtime", "egom2p-video", "TensorRT"]);
    // A driver is where the system has it.
    for finding in findings.iter().filter(|finding| finding["name"] != "NVIDIA GPUs" || finding["found"].is_null()) {
        assert!(finding["found"].is_null(), "{finding}");
        let missing = finding["missing"].as_str().expect("a text");
        assert_eq!(missing.lines().count(), 2, "{missing}");
    }
}

#[test]
fn what_needs_a_library_says_which() {
    let bench = Bench::with_weights("gaze");
    bench.succeed(&["export", "weights", "--out", "onnx"]);
    let before = bench.files();
    let output = alone(&bench, &["build", "onnx", "--out", "bundle"]).output().expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: ONNX Runtime was not found"), "{stderr}");
    assert!(stderr.contains("\n  help: run \"cargo xtask setup\""), "{stderr}");
    let mut after = bench.files();
    after.remove("egom2p");
    assert_eq!(after, before);
}
