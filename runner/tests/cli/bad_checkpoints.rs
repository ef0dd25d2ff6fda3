//! Checkpoints and weights that cannot be used.

use std::fs;

use crate::{bench::Bench, tensor_files::safetensors, transcript::Transcript};

#[test]
fn checkpoints_that_are_none_are_refused() {
    let bench = Bench::new();
    bench.checkpoint("model.pth").checkpoint("camera.pth").checkpoint("no_model.pth").checkpoint("old_format.pth");
    let whole = fs::read(bench.path("model.pth")).expect("the fixture is there");
    bench.write("truncated.pth", &whole[..whole.len() / 2]);
    bench.write("empty.pth", "");
    bench.write("text.pth", "weights\n");
    let mut transcript = Transcript::new(&bench);
    for line in [
        "import --model missing.pth --out weights",
        "import --model truncated.pth --out weights",
        "import --model empty.pth --out weights",
        "import --model text.pth --out weights",
        "import --model . --out weights",
        "import --model no_model.pth --out weights",
        "import --model old_format.pth --out weights",
        "import --model camera.pth --out weights",
        "import --gaze model.pth --out weights",
        "import --video-encoder model.pth --out weights",
        "import --model model.pth --out weights",
        "import --model model.pth --preset egom2p-tiny --out deeper/weights",
    ] {
        transcript.fails(line);
    }
    insta::assert_snapshot!(transcript.text());
}

#[test]
fn code_in_a_checkpoint_is_never_run() {
    let bench = Bench::new();
    bench.checkpoint("code_in_model.pth").checkpoint("code_in_args.pth").checkpoint("stranger_in_model.pth");
    let mut transcript = Transcript::new(&bench);
    transcript.fails("import --model code_in_model.pth --out weights");
    transcript.fails("import --model code_in_args.pth --out weights");
    transcript.fails("import --model stranger_in_model.pth --out weights");
    insta::assert_snapshot!(transcript.text());
}

/// A later checkpoint that cannot be read does not leave the parts of the earlier ones behind.
#[test]
fn an_import_is_whole_or_nothing() {
    let bench = Bench::with_weights("camera");
    bench.checkpoint("camera.pth");
    let before = fs::read(bench.path("weights/camera.safetensors")).expect("the file is there");
    let mut transcript = Transcript::new(&bench);
    transcript.fails("import --camera camera.pth --gaze missing.pth --preset egom2p-tiny --out weights");
    assert_eq!(fs::read(bench.path("weights/camera.safetensors")).expect("the file is there"), before);
}

#[test]
fn weights_of_another_model_are_not_exported() {
    let bench = Bench::with_weights("camera,gaze");
    for name in ["swapped", "cut", "strange", "typo", "hostile"] {
        bench.copy("weights", name);
    }
    fs::copy(bench.path("weights/gaze.safetensors"), bench.path("swapped/camera.safetensors")).expect("room");
    let whole = fs::read(bench.path("weights/camera.safetensors")).expect("the file is there");
    bench.write("cut/camera.safetensors", &whole[..whole.len() / 2]);
    bench.write("strange/camera.safetensors", safetensors(&[]));
    bench.replace("typo/config.json", "\"heads\"", "\"haeds\"");
    bench.replace("hostile/config.json", "\"samples\": 60", "\"samples\": 60000000000");
    let mut transcript = Transcript::new(&bench);
    for name in ["swapped", "cut", "strange", "typo", "hostile"] {
        transcript.fails(&format!("export {name} --out onnx"));
    }
    insta::assert_snapshot!(transcript.text());
}
