//! Compiled engines that are none, with records that say what they would be.

use std::collections::BTreeMap;

use egom2p_engine_core::{
    Axis, CompileOptions, ComputeCapability, DType, Device, DimRange, ENGINE_RECORD_SCHEMA, EngineMemory, EngineRecord,
    EngineTarget, FileEntry, LayerRecord, LayerTensor, Profile, RelativePath, TensorSpec,
};
use egom2p_engines::{BUNDLE_MANIFEST_FILE, BUNDLE_SCHEMA, BundleManifest, BundleVariant, digest_file};
use egom2p_model::Preset;

use crate::bench::Bench;

/// Writes an engine and its record.
pub(crate) fn write_engine(bench: &Bench, name: &str, n_layers: usize) -> EngineRecord {
    bench.write(name, b"not what a compiler writes".repeat(100));
    let record = record(entry(bench, name), n_layers);
    bench.write(&format!("{name}.json"), record.to_json());
    record
}

/// Writes the folder `bundle` with one compiled engine, of the stage `camera_decoder`.
pub(crate) fn write_bundle(bench: &Bench) {
    for folder in ["bundle/onnx", "bundle/engines"] {
        std::fs::create_dir_all(bench.path(folder)).expect("the folder is writable");
    }
    let [engine, sidecar, onnx, weights] = [
        "engines/camera_decoder.default-0123456789ab.engine",
        "engines/camera_decoder.default-0123456789ab.engine.json",
        "onnx/camera_decoder.onnx",
        "onnx/camera.weights",
    ];
    let record = write_engine(bench, &format!("bundle/{engine}"), 2);
    bench.write(&format!("bundle/{onnx}"), "not a model");
    bench.write(&format!("bundle/{weights}"), "not weights");
    let digest = record.engine.blake3;
    let variant = BundleVariant {
        backend: record.backend.clone(),
        precision: "fp16".to_owned(),
        device: Device::Cuda,
        onnx: path(onnx),
        weights: vec![path(weights)],
        engine: vec![path(engine), path(sidecar)],
        key: digest,
        graph_digest: digest,
        weights_digest: digest,
        calibration_digest: None,
        profiles: record.profiles.clone(),
        target: record.target.clone(),
        options: record.options.clone(),
        libraries: BTreeMap::from([(record.backend.clone(), record.library)]),
    };
    let files = [engine, sidecar, onnx, weights].map(|file| (path(file), entry(bench, &format!("bundle/{file}"))));
    let variants = BTreeMap::from([("default".to_owned(), variant)]);
    let manifest = BundleManifest {
        schema: BUNDLE_SCHEMA,
        preset: Some("egom2p-tiny".to_owned()),
        config: serde_json::to_value(Preset::Tiny.config()).expect("a config is JSON"),
        stages: BTreeMap::from([("camera_decoder".to_owned(), variants)]),
        files: files.into(),
    };
    let text = serde_json::to_string_pretty(&manifest).expect("a manifest is JSON");
    bench.write(&format!("bundle/{BUNDLE_MANIFEST_FILE}"), text);
}

fn record(engine: FileEntry, n_layers: usize) -> EngineRecord {
    let batch = |max| Profile { dims: [("batch".to_owned(), DimRange { min: 1, opt: 1, max })].into() };
    let tensor = |name: &str, dtype, rest: &[usize]| {
        let batch = Axis::Named("batch".to_owned());
        let shape = std::iter::once(batch).chain(rest.iter().copied().map(Axis::Fixed)).collect();
        TensorSpec { name: name.to_owned(), dtype, shape }
    };
    EngineRecord {
        schema: ENGINE_RECORD_SCHEMA,
        engine,
        backend: "tensorrt-rtx".to_owned(),
        library: "1.7.1".to_owned(),
        target: EngineTarget::ComputeCapabilities(vec![ComputeCapability { major: 8, minor: 6 }]),
        options: CompileOptions {
            compute_capabilities: vec![ComputeCapability { major: 8, minor: 6 }],
            optimization_level: Some(5),
            workspace_bytes: Some(4_000_000_000),
            tf32: true,
            ..CompileOptions::default()
        },
        inputs: vec![tensor("tokens", DType::I64, &[30])],
        outputs: vec![tensor("camera", DType::F32, &[60, 9])],
        profiles: vec![batch(1), batch(4)],
        memory: EngineMemory { weights_bytes: Some(31_000_000), activation_bytes: Some(2_500_000) },
        layers: (0..n_layers).map(layer).collect(),
        onnx: Some(engine.blake3),
        build_secs: Some(1.25),
        build_peak_bytes: Some(1_500_000_000),
    }
}

fn layer(at: usize) -> LayerRecord {
    let (kind, dtype) = if at.is_multiple_of(3) { ("gemm", "Half") } else { ("kgen", "Float") };
    let outputs = vec![LayerTensor { name: format!("y{at}"), dtype: dtype.to_owned(), shape: vec![-1, 30, 192] }];
    LayerRecord {
        name: format!("layer {at}"),
        kind: kind.to_owned(),
        inputs: Vec::new(),
        outputs,
        tactic: format!("sm86_{kind}"),
        nodes: vec![format!("decoder.{at}")],
    }
}

fn entry(bench: &Bench, name: &str) -> FileEntry {
    let (blake3, bytes) = digest_file(&bench.path(name)).expect("it was written");
    FileEntry { bytes, blake3 }
}

fn path(text: &str) -> RelativePath {
    RelativePath::new(text).expect("it is relative")
}
