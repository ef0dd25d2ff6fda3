//! The full check of the onnx package on every sample stage, where Python has that package.

mod sample;

use std::{fs, process::Command};

use egom2p_export::{ExternalLayout, Opset, Target, export_graph, write_weights};
use egom2p_graph::DType;

#[test]
fn the_onnx_package_accepts_every_model() {
    let has_onnx = Command::new("python3").args(["-c", "import onnx"]).output().is_ok_and(|run| run.status.success());
    if !has_onnx {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: python3 has no package onnx");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let [v19, v20, v22] = [Opset::V19, Opset::V20, Opset::V22].map(|opset| Target::Standard { opset });
    let mut graphs: Vec<_> =
        sample::all().into_iter().map(|graph| (graph, vec![Target::OnnxRuntimeCpu, v19, v20, v22])).collect();
    let halves: &[Target] = &[v19, v20, v22];
    for (dtype, video) in [(DType::F16, halves), (DType::Bf16, &[v22])] {
        let samples = [(sample::half_block(dtype), halves), (sample::stored(dtype), halves)];
        let samples = samples.into_iter().chain([(sample::half_video(dtype), video)]);
        graphs.extend(samples.map(|(graph, targets)| (graph, targets.to_vec())));
    }
    let mut n_models = 0;
    for (graph, targets) in &graphs {
        let layout = ExternalLayout::new(format!("{}.weights", graph.name()), [graph]).expect("small tensors");
        write_weights(&folder.path().join(layout.location()), &layout, [graph], &sample::Rule).expect("written");
        for &target in targets {
            let model = export_graph(graph, target, &layout).expect("a sound stage");
            fs::write(folder.path().join(format!("{}-{target}.onnx", graph.name())), model).expect("written");
            n_models += 1;
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/check_onnx.py");
    let run = Command::new("python3").arg(script).arg(folder.path()).output().expect("python3 was there");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), n_models.to_string());
}
