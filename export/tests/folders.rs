//! Whole folders: what is written, what is left alone, what a failure leaves.

mod sample;

use std::{collections::BTreeMap, fs, path::Path};

use egom2p_engine_core::{Digest, ExportManifest};
use egom2p_export::{ExportError, ExportReport, FolderExport, StageExport, Target, WeightsExport, export_folder};
use egom2p_graph::{Graph, ParameterError, Parameters};

/// The rule of the samples, shifted.
struct Shifted(f32);

impl Parameters for Shifted {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        Ok(sample::Rule.parameter(name, shape)?.into_iter().map(|value| value + self.0).collect())
    }
}

/// Fails on the last tensor of the video stage, when others have been written.
struct Failing;

impl Parameters for Failing {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        if name == "encoder.out.weight" {
            return Err(ParameterError::Missing { name: name.to_owned() });
        }
        sample::Rule.parameter(name, shape)
    }
}

struct Stages {
    block: Graph,
    masks: Graph,
    video: Graph,
}

impl Stages {
    fn new() -> Self {
        Self { block: sample::block(), masks: sample::masks(), video: sample::video() }
    }

    fn export(&self, folder: &Path, shift: f32, video: &dyn Parameters) -> Result<ExportReport, ExportError> {
        self.export_named(folder, shift, video, "masked")
    }

    fn export_named(
        &self,
        folder: &Path,
        shift: f32,
        video: &dyn Parameters,
        variant: &str,
    ) -> Result<ExportReport, ExportError> {
        let stage = |stage, variant, graph, weights| StageExport {
            stage,
            variant,
            graph,
            weights,
            precision: "fp32",
            profiles: Vec::new(),
        };
        let model = Shifted(shift);
        let stages = [
            stage("block", "default", &self.block, "model"),
            stage("masks", variant, &self.masks, "model"),
            stage("video", "default", &self.video, "video"),
        ];
        let weights = [
            WeightsExport {
                name: "model",
                parameters: &model,
                digest: Digest::from_bytes([shift as u8; 32]),
                all_used: None,
            },
            WeightsExport { name: "video", parameters: video, digest: Digest::from_bytes([7; 32]), all_used: None },
        ];
        let export = FolderExport {
            target: Target::OnnxRuntimeCpu,
            preset: None,
            config: serde_json::json!({ "dim": 8 }),
            stages: &stages,
            weights: &weights,
        };
        export_folder(folder, &export)
    }
}

fn names(files: &[egom2p_engine_core::RelativePath]) -> Vec<&str> {
    let mut names: Vec<_> = files.iter().map(egom2p_engine_core::RelativePath::as_str).collect();
    names.sort_unstable();
    names
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).expect("a file"))).collect()
}

#[test]
fn a_folder_has_models_weights_and_a_manifest() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let folder = &folder.path().join("new");
    let report = Stages::new().export(folder, 0.0, &sample::Rule).expect("written");
    let expected = [
        "block.onnx",
        "export.inputs.json",
        "export.json",
        "masks.masked.onnx",
        "model.weights",
        "video.onnx",
        "video.weights",
    ];
    assert_eq!(contents(folder).keys().collect::<Vec<_>>(), expected);
    assert_eq!(names(&report.written), expected);
    assert_eq!(ExportManifest::read(folder).expect("just written"), report.manifest);
    for (name, entry) in &report.manifest.files {
        let bytes = fs::read(name.below(folder)).expect("listed");
        assert_eq!((bytes.len() as u64, blake3::hash(&bytes).as_bytes()), (entry.bytes, entry.blake3.as_bytes()));
    }
}

#[test]
fn nothing_is_written_twice() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let stages = Stages::new();
    stages.export(folder.path(), 0.0, &sample::Rule).expect("written");
    let before = contents(folder.path());
    // `Failing` would fail if it were asked.
    let again = stages.export(folder.path(), 0.0, &Failing).expect("nothing to do");
    assert_eq!((names(&again.written), again.unchanged.len()), (vec![], 7));
    assert_eq!(contents(folder.path()), before);

    let first = ExportManifest::read(folder.path()).expect("written");
    let changed = stages.export(folder.path(), 1.0, &Failing).expect("written");
    assert_eq!(names(&changed.written), ["export.inputs.json", "export.json", "model.weights"]);
    let digests = |manifest: &ExportManifest, stage: &str| {
        let variant = &manifest.stages[stage][0];
        (variant.graph_digest, variant.weights_digest)
    };
    assert_eq!(digests(&first, "video"), digests(&changed.manifest, "video"));
    assert_eq!(digests(&first, "block").0, digests(&changed.manifest, "block").0);
    assert_ne!(digests(&first, "block").1, digests(&changed.manifest, "block").1);
    // `masks` reads no weights.
    assert_eq!(digests(&first, "masks"), digests(&changed.manifest, "masks"));
}

#[test]
fn damage_is_repaired_and_a_copy_is_not_rewritten() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let stages = Stages::new();
    stages.export(folder.path(), 0.0, &sample::Rule).expect("written");
    let before = contents(folder.path());
    for name in ["video.weights", "block.onnx"] {
        let mut damaged = before[name].clone();
        damaged[5] ^= 1;
        fs::write(folder.path().join(name), damaged).expect("written");
        let report = stages.export(folder.path(), 0.0, &sample::Rule).expect("written");
        assert!(names(&report.written).contains(&name), "{:?}", report.written);
        assert_eq!(contents(folder.path())[name], before[name]);
    }
    let copy = tempfile::tempdir().expect("a folder for temporary files");
    for (name, bytes) in contents(folder.path()) {
        fs::write(copy.path().join(name), bytes).expect("written");
    }
    let report = stages.export(copy.path(), 0.0, &Failing).expect("nothing to do");
    assert_eq!(names(&report.written), ["export.inputs.json"]);
}

#[test]
fn a_failure_leaves_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let stages = Stages::new();
    stages.export(folder.path(), 0.0, &sample::Rule).expect("written");
    fs::remove_file(folder.path().join("video.weights")).expect("was there");
    let before = contents(folder.path());
    let error = stages.export(folder.path(), 1.0, &Failing).expect_err("a tensor is missing");
    assert_eq!(error.to_string().lines().next(), Some("no parameter called encoder.out.weight"));
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn what_no_stage_needs_any_more_is_removed() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let stages = Stages::new();
    stages.export(folder.path(), 0.0, &sample::Rule).expect("written");
    fs::write(folder.path().join("notes.txt"), "mine").expect("written");
    let report = stages.export_named(folder.path(), 0.0, &sample::Rule, "other").expect("written");
    assert_eq!(names(&report.removed), ["masks.masked.onnx"]);
    let files = contents(folder.path());
    assert!(files.contains_key("masks.other.onnx") && files.contains_key("notes.txt"));
    assert!(!files.contains_key("masks.masked.onnx"));
}

#[test]
fn names_stay_inside_the_folder() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let stages = Stages::new();
    for variant in ["..", "a/b", "", "a.b"] {
        let error = stages.export_named(folder.path(), 0.0, &sample::Rule, variant).expect_err("not a file name");
        assert!(matches!(error, ExportError::FileName { .. }), "{error}");
    }
    assert!(contents(folder.path()).is_empty());
}

#[test]
fn weights_without_a_reader_and_readers_without_weights_are_named() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let block = sample::block();
    let stages = [StageExport {
        stage: "block",
        variant: "default",
        graph: &block,
        weights: "model",
        precision: "fp32",
        profiles: Vec::new(),
    }];
    let all = ["encoder.0.norm1.weight".to_owned(), "encoder.9.norm1.weight".to_owned()];
    let weights = [WeightsExport {
        name: "model",
        parameters: &sample::Rule,
        digest: Digest::from_bytes([0; 32]),
        all_used: Some(&all),
    }];
    let config = serde_json::Value::Null;
    let target = Target::OnnxRuntimeCpu;
    let export = FolderExport { target, preset: None, config: config.clone(), stages: &stages, weights: &weights };
    let error = export_folder(folder.path(), &export).expect_err("an unused tensor");
    let what = "model.weights: 1 of the weights are used by no stage: encoder.9.norm1.weight";
    assert_eq!(error.to_string().lines().next(), Some(what));
    let export = FolderExport { target, preset: None, config, stages: &stages, weights: &[] };
    let error = export_folder(folder.path(), &export).expect_err("no weights");
    assert_eq!(error.to_string().lines().next(), Some("stage block reads model.weights, which is not exported"));
    assert!(contents(folder.path()).is_empty());
}
