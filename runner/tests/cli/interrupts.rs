//! Ctrl-C and sudden ends: nothing half-written stays, and the next run makes up for what was killed.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{bench::Bench, tensor_files::rgb_tokens};

/// How often a command may be too quick to be caught.
const N_ATTEMPTS: usize = 20;
/// How long a command may take to begin to write, or to end.
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts a command and sends it a signal once it writes. Its exit code, or `None` where it ended before or by the signal.
fn signalled(bench: &Bench, signal: &str, arguments: &[&str]) -> Option<i32> {
    let mut child =
        bench.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let started = Instant::now();
    while bench.leftovers().is_empty() {
        if let Some(status) = child.try_wait().expect("it is our child") {
            assert!(status.success(), "{arguments:?}: {status}");
            return None;
        }
        assert!(started.elapsed() < PATIENCE, "{arguments:?} writes nothing");
        sleep(Duration::from_millis(1));
    }
    send(&child, signal);
    child.wait().expect("it is our child").code()
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).stderr(Stdio::null()).status();
    sent.expect("kill is there");
}

/// Interrupts a command while it writes, until that was seen to end it; each time, its output is whole or not there.
fn interrupted_leaves_nothing(bench: &Bench, out: &str, arguments: &[&str]) {
    let before = bench.files();
    for signal in ["INT", "TERM", "INT"] {
        let mut seen = false;
        for _ in 0..N_ATTEMPTS {
            let code = signalled(bench, signal, arguments);
            if code == Some(130) && bench.files() == before {
                seen = true;
                break;
            }
            // It was done before the signal came.
            assert!(bench.leftovers().is_empty(), "{arguments:?}: {:?}", bench.leftovers());
            bench.succeed(&["inspect", out, "--digests"]);
            remove(bench, out);
        }
        assert!(seen, "{arguments:?} was never interrupted");
    }
}

/// Kills a command while it writes, which leaves something; the same command then does its work and leaves nothing else.
fn killed_is_made_up_for(bench: &Bench, out: &str, arguments: &[&str]) {
    for _ in 0..N_ATTEMPTS {
        signalled(bench, "KILL", arguments);
        if !bench.leftovers().is_empty() {
            bench.succeed(arguments);
            assert!(bench.leftovers().is_empty(), "{arguments:?}: {:?}", bench.leftovers());
            bench.succeed(&["inspect", out, "--digests"]);
            return;
        }
        remove(bench, out);
    }
    panic!("{arguments:?} was never killed while it wrote");
}

/// Removes an output and the folder around it.
fn remove(bench: &Bench, out: &str) {
    let around = bench.path(out).parent().expect("it is in a folder").to_owned();
    fs::remove_dir_all(around).expect("the output is there");
}

#[test]
fn weights() {
    let bench = Bench::new();
    let arguments = ["weights", "reproducible", "--preset", "egom2p-tiny", "--out", "deep/weights"];
    interrupted_leaves_nothing(&bench, "deep/weights", &arguments);
    killed_is_made_up_for(&bench, "deep/weights", &arguments);
}

#[test]
fn exports() {
    let bench = Bench::with_weights("model,camera");
    let arguments = ["export", "weights", "--out", "deep/onnx"];
    interrupted_leaves_nothing(&bench, "deep/onnx", &arguments);
    killed_is_made_up_for(&bench, "deep/onnx", &arguments);
}

#[test]
fn bundles() {
    let Some(bench) = Bench::with_bundle("camera", "camera_encoder,camera_decoder") else { return };
    let arguments = ["build", "onnx", "--out", "deep/bundle"];
    interrupted_leaves_nothing(&bench, "deep/bundle", &arguments);
    killed_is_made_up_for(&bench, "deep/bundle", &arguments);
    let before = fs::read(bench.path("bundle/bundle.json")).expect("it was built");
    let again = ["build", "onnx", "--force", "--out", "bundle"];
    for _ in 0..3 {
        signalled(&bench, "INT", &again);
        assert!(bench.leftovers().is_empty(), "{:?}", bench.leftovers());
        assert!(fs::read(bench.path("bundle/bundle.json")).expect("it stayed") == before);
    }
}

#[test]
fn predictions() {
    let Some(bench) = Bench::with_camera_bundle() else { return };
    bench.write("rgb.npy", rgb_tokens());
    let run = ["run", "bundle", "--tokens", "rgb=rgb.npy", "--to", "camera", "--out", "deep/out"];
    interrupted_leaves_nothing(&bench, "deep/out", &run);
    killed_is_made_up_for(&bench, "deep/out", &run);
}
