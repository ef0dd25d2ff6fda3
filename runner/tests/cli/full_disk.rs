//! Disks that fill up while something is written: by a limit on the size of files, which is an error of the same kind
//! and needs no rights.

use std::process::Command;

use crate::{
    bench::{Bench, has_video_program},
    tensor_files::{rgb_tokens, safetensors, words},
};

/// Runs the binary where no file may grow beyond `n_blocks` times 1024 bytes; what it prints goes through a pipe.
fn fails(bench: &Bench, n_blocks: u32, arguments: &[&str]) {
    let before = bench.files();
    let mut command = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {n_blocks}; exec \"$@\"");
    command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_egom2p")]).args(arguments).current_dir(bench.folder());
    let output = command.output().expect("bash is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{n_blocks} blocks, {arguments:?}: {stderr}");
    assert!(stderr.contains("error: ") && stderr.contains("\n  help: "), "{n_blocks} blocks, {arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(bench.files(), before, "{n_blocks} blocks, {arguments:?}");
}

#[test]
fn weights_and_exports_are_whole_or_nothing() {
    let bench = Bench::with_weights("camera,gaze");
    for n_blocks in [0, 1, 1000, 4140] {
        fails(
            &bench,
            n_blocks,
            &["weights", "reproducible", "--preset", "egom2p-tiny", "--parts", "gaze,camera", "--out", "new"],
        );
    }
    for n_blocks in [0, 1, 16, 1000, 4400] {
        fails(&bench, n_blocks, &["export", "weights", "--out", "onnx"]);
    }
}

#[test]
fn bundles_are_whole_or_nothing() {
    let Some(bench) = Bench::with_bundle("gaze", "gaze_encoder") else { return };
    for n_blocks in [0, 16, 1000] {
        fails(&bench, n_blocks, &["build", "onnx", "--out", "new"]);
    }
    // The export is the bundle's own and need not be copied: what does not fit is what ONNX Runtime writes.
    bench.copy("onnx", "other/onnx");
    for n_blocks in [0, 4, 12, 1000] {
        fails(&bench, n_blocks, &["build", "other/onnx", "--out", "other"]);
    }
}

#[test]
fn predictions_are_whole_or_nothing() {
    let stages = "encoder,decoder,head_depth,head_gaze,camera_decoder,gaze_decoder,video_decoder";
    let Some(bench) = Bench::with_bundle("model,camera,gaze,video", stages) else { return };
    bench.write("rgb.npy", rgb_tokens());
    bench.write("tokens.safetensors", safetensors(&[("tokens", safetensors::Dtype::I64, &[1, 30], words(&[1; 30]))]));
    let run = ["run", "bundle", "--tokens", "rgb=rgb.npy", "--steps", "1", "--out", "out/clip", "--to"];
    // Gaze takes 1.6 kB, the tokens after it 3 kB.
    for n_blocks in [0, 1, 2] {
        fails(&bench, n_blocks, &[&run[..], &["gaze"]].concat());
    }
    if has_video_program() {
        // Depth takes 262 kB.
        for n_blocks in [0, 2, 250] {
            fails(&bench, n_blocks, &[&run[..], &["depth"]].concat());
        }
    }
    let stage = ["stage", "bundle", "camera_decoder", "--inputs", "tokens.safetensors", "--outputs", "out.safetensors"];
    for n_blocks in [0, 1] {
        fails(&bench, n_blocks, &stage);
    }
}
