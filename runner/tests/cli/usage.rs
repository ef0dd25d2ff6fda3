//! `--help`, `--version` and what is typed wrongly.

use crate::{bench::Bench, transcript::Transcript};

#[test]
fn every_command_explains_itself() {
    let commands = [
        "",
        "run",
        "import",
        "weights",
        "weights reproducible",
        "weights merge",
        "export",
        "build",
        "bench",
        "gpu-check",
        "stage",
        "compare",
        "inspect",
        "doctor",
    ];
    for command in commands {
        let bench = Bench::new();
        let mut transcript = Transcript::new(&bench);
        transcript.succeeds(format!("{command} --help").trim_start());
        let name = format!("help {command}").trim_end().replace(' ', "_");
        insta::assert_snapshot!(name, transcript.text());
    }
}

#[test]
fn the_version_is_the_packages() {
    let bench = Bench::new();
    let output = bench.run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("egom2p {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let bench = Bench::new();
    let mut transcript = Transcript::new(&bench);
    for line in [
        "dance",
        "run bundle",
        "run bundle --to camera --out out",
        "run bundle --input clip.mp4 --to smell --out out",
        "run bundle --tokens smell=a.npy --to camera --out out",
        "run bundle --tokens a.npy --to camera --out out",
        "run bundle --input clip.mp4 --from gaze --to camera --out out",
        "run bundle --input clip.mp4 --to camera --out out --fps -8",
        "run bundle --input clip.mp4 --to camera --out out --temperature-schedule never",
        "run bundle --input clip.mp4 --to camera --out out --threads 0",
        "weights reproducible --out weights",
        "weights reproducible --preset huge --out weights",
        "weights reproducible --preset egom2p-tiny --parts legs --out weights",
        "weights merge --out weights",
        "weights merge a --store int8 --out weights",
        "export weights --stages dream --out onnx",
        "build onnx --backend abacus --out bundle",
        "export weights --precision int8 --out onnx",
        "build onnx --precision fp8 --out bundle",
        "build onnx --device gpu --out bundle",
        "build onnx --compute-capability sm_86 --out bundle",
        "build onnx --optimization-level 6 --out bundle",
        "build onnx --workspace 4 --out bundle",
        "build onnx --hardware-compatibility all --out bundle",
        "build onnx --engine encoder.engine --out bundle",
        "stage bundle dream --inputs a.safetensors --outputs b.safetensors",
    ] {
        transcript.misused(line);
    }
    assert!(bench.files().is_empty());
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn what_was_typed_but_is_not_there_fails() {
    let bench = Bench::new();
    bench.write("notes.txt", "mine");
    std::fs::create_dir(bench.path("empty")).expect("room");
    let mut transcript = Transcript::new(&bench);
    for line in [
        "import --out weights",
        "export nothing --out onnx",
        "export empty --out onnx",
        "export notes.txt --out onnx",
        "build nothing --out bundle",
        "build empty --out bundle",
        "build empty --out bundle --precision fp16",
        "build empty --out bundle --device cuda",
        "build empty --out bundle --calibration ranges.json",
        "run nothing --tokens rgb=a.npy --to camera --out out",
        "run empty --tokens rgb=a.npy --to camera --out out",
        "stage nothing encoder --inputs a.safetensors --outputs b.safetensors",
        "compare nothing empty",
        "compare notes.txt notes.txt",
        "inspect nothing",
        "inspect empty",
        "inspect notes.txt",
        "weights reproducible --golden nothing.json --out weights",
        "weights reproducible --golden notes.txt --out weights",
    ] {
        transcript.fails(line);
    }
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn an_output_that_cannot_be_written_fails() {
    let bench = Bench::with_weights("camera");
    bench.succeed(&["export", "weights", "--out", "onnx"]);
    bench.write("file", "mine");
    let mut transcript = Transcript::new(&bench);
    for line in [
        "weights reproducible --preset egom2p-tiny --parts camera --out file",
        "weights reproducible --preset egom2p-tiny --parts camera --out file/below",
        "weights reproducible --preset egom2p-tiny --parts camera --out /proc/below",
        "weights reproducible --preset egom2p-base --parts camera --out weights",
        "import --camera nothing.pth --out file",
        "export weights --out file",
        "export weights --out file/below",
        "export weights --out /proc/below",
        "build onnx --out file",
    ] {
        transcript.fails(line);
    }
    insta::assert_snapshot!(transcript.text());
}
