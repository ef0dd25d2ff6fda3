//! The full check of the onnx package on every sample stage, where Python has that package.

mod sample;

use std::{fs, process::Command};

use egom2p_export::{ExternalLayout, Opset, Target, export_graph, write_weights};

#[test]
fn the_onnx_package_accepts_every_model() {
    let has_onnx = Command::new("python3").args(["-c", "import onnx"]).output().is_ok_and(|run| run.status.success());
    if !has_onnx {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: python3 has no package onnx");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let graphs = sample::all();
    let mut n_models = 0;
    for graph in &graphs {
        let layout = ExternalLayout::new(format!("{}.weights", graph.name()), [graph]).expect("small tensors");
        write_weights(&folder.path().join(layout.location()), &layout, [graph], &sample::Rule).expect("written");
        for target in
            [Target::OnnxRuntimeCpu, Target::Standard { opset: Opset::V19 }, Target::Standard { opset: Opset::V20 }]
        {
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
