//! An exported folder to build bundles from, and a backend that needs no library.

#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]
#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "../../onnxruntime/tests/support/mod.rs"]
pub(crate) mod models;

use egom2p_engine_core::{
    AdoptRequest, Backend, BackendInfo, BuildReport, BuildRequest, CompileOptions, Device, Digest, DimRange,
    ENGINE_RECORD_SCHEMA, EXPORT_MANIFEST_FILE, EXPORT_MANIFEST_SCHEMA, Engine, EngineError, EngineMemory,
    EngineRecord, EngineTarget, ExportManifest, ExportedVariant, FileEntry, OpenRequest, Profile, RelativePath,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// A stage and its variants.
pub(crate) const STAGES: [(&str, &[&str]); 2] = [("encoder", &["masked", "unmasked"]), ("head", &["default"])];

/// Writes ONNX files for [`STAGES`], one shared weights file and the manifest. `salt` goes into the encoder's ONNX files.
pub(crate) fn export(folder: &Path, salt: &str) {
    let mut files = BTreeMap::new();
    let mut stages = BTreeMap::new();
    let entry = |name: &str| {
        let bytes = fs::read(folder.join(name)).unwrap();
        FileEntry { bytes: bytes.len() as u64, blake3: digest(&bytes) }
    };
    for (stage, variants) in STAGES {
        let variants: Vec<ExportedVariant> = variants
            .iter()
            .map(|variant| {
                let name = format!("{stage}.{variant}");
                let mut model = models::model();
                model.doc_string = if stage == "encoder" { format!("{name} {salt}") } else { name.clone() };
                models::write(folder, &name, &model);
                let onnx = path(&format!("{name}.onnx"));
                files.insert(onnx.clone(), entry(onnx.as_str()));
                ExportedVariant {
                    name: (*variant).to_owned(),
                    precision: "fp32".to_owned(),
                    onnx,
                    weights: vec![path(models::WEIGHTS)],
                    graph_digest: digest(name.as_bytes()),
                    weights_digest: digest(&models::weights()),
                    calibration_digest: None,
                    profiles: vec![Profile { dims: [(format!("{stage}_visible"), RANGE)].into() }],
                }
            })
            .collect();
        stages.insert(stage.to_owned(), variants);
    }
    files.insert(path(models::WEIGHTS), entry(models::WEIGHTS));
    let manifest = ExportManifest {
        schema: EXPORT_MANIFEST_SCHEMA,
        target: "standard-20".to_owned(),
        preset: Some("test".to_owned()),
        config: serde_json::json!({"width": models::WIDTH}),
        stages,
        files,
    };
    fs::write(folder.join(EXPORT_MANIFEST_FILE), serde_json::to_string_pretty(&manifest).unwrap()).unwrap();
}

pub(crate) const RANGE: DimRange = DimRange { min: 0, opt: 2, max: 8 };

pub(crate) fn path(text: &str) -> RelativePath {
    RelativePath::new(text).unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(blake3::hash(bytes).into())
}

/// Changes one byte of a file and keeps its size.
pub(crate) fn flip_byte(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Every file below a folder with its content, but for time stamps.
pub(crate) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            found.extend(contents(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if name != "stamps.json" {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

/// A backend whose engine is a text file. It notes the names of what it builds, and fails on the stages in `fail`.
pub(crate) struct FakeBackend {
    pub(crate) version: String,
    pub(crate) fail: Option<&'static str>,
    pub(crate) built: Mutex<Vec<String>>,
}

impl FakeBackend {
    pub(crate) fn new() -> Self {
        Self { version: "1.0".to_owned(), fail: None, built: Mutex::default() }
    }

    /// Stage and variant of what was built since the last call.
    pub(crate) fn take_built(&self) -> Vec<String> {
        let names = std::mem::take(&mut *self.built.lock().unwrap());
        names.iter().map(|name| name.split_once('-').unwrap().0.to_owned()).collect()
    }
}

impl Backend for FakeBackend {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn check(&self) -> Result<BackendInfo, EngineError> {
        Ok(BackendInfo {
            backend: "fake".to_owned(),
            library: "libfake.so".into(),
            version: self.version.clone(),
            devices: vec!["cpu".to_owned()],
            features: Vec::new(),
        })
    }

    fn target(&self, _: Device, options: &CompileOptions) -> Result<EngineTarget, EngineError> {
        Ok(EngineTarget::ComputeCapabilities(options.compute_capabilities.clone()))
    }

    fn build(&self, request: &BuildRequest<'_>) -> Result<BuildReport, EngineError> {
        if self.fail.is_some_and(|stage| request.name.starts_with(stage)) {
            return Err(EngineError::Native {
                backend: "fake",
                action: format!("build {}", request.name),
                what: "it was told to".to_owned(),
                mend: "tell it otherwise",
            });
        }
        let folder = request.onnx.below(request.root);
        assert!(folder.with_file_name(models::WEIGHTS).is_file(), "weights lie beside the ONNX file");
        let engine = request.engine_dir.join(&format!("{}.engine", request.name)).unwrap();
        fs::create_dir_all(request.engine_dir.below(request.root)).unwrap();
        fs::write(engine.below(request.root), request.name).unwrap();
        self.built.lock().unwrap().push(request.name.to_owned());
        Ok(BuildReport {
            files: vec![engine],
            shared_bytes: 0,
            own_bytes: 1,
            rewritten: Vec::new(),
            memory: None,
            peak_bytes: None,
        })
    }

    /// Takes any text that begins with "engine", and says that it has one profile of its own.
    fn adopt(&self, request: &AdoptRequest<'_>) -> Result<BuildReport, EngineError> {
        let text = fs::read_to_string(request.engine).unwrap();
        if !text.starts_with("engine") {
            return Err(EngineError::Native {
                backend: "fake",
                action: format!("take over {}", request.engine.display()),
                what: "it is no engine".to_owned(),
                mend: "name an engine",
            });
        }
        let report = self.build(&request.build)?;
        let engine = &report.files[0];
        let path = engine.below(request.build.root);
        fs::write(&path, &text).unwrap();
        let record = EngineRecord {
            schema: ENGINE_RECORD_SCHEMA,
            engine: FileEntry { bytes: text.len() as u64, blake3: digest(text.as_bytes()) },
            backend: "fake".to_owned(),
            library: self.version.clone(),
            target: EngineTarget::Cpu,
            options: CompileOptions { tf32: true, ..CompileOptions::default() },
            inputs: Vec::new(),
            outputs: Vec::new(),
            profiles: vec![Profile { dims: [("visible".to_owned(), RANGE)].into() }],
            memory: EngineMemory::default(),
            layers: Vec::new(),
            onnx: None,
            build_secs: None,
            build_peak_bytes: None,
        };
        fs::write(EngineRecord::path(&path), record.to_json()).unwrap();
        let record = self::path(&format!("{engine}.json"));
        Ok(BuildReport { files: vec![engine.clone(), record], ..report })
    }

    fn open(&self, _: &OpenRequest<'_>) -> Result<Box<dyn Engine>, EngineError> {
        panic!("bundles open backends by name, and this one is not among them")
    }
}
