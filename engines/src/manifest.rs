use crate::{BundleError, Result};
use egom2p_engine_core::{CompileOptions, Device, Digest, EngineError, EngineTarget, FileEntry, Profile, RelativePath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the manifest in a bundle.
pub const BUNDLE_MANIFEST_FILE: &str = "bundle.json";
/// Version of the manifest that this program writes and reads.
pub const BUNDLE_SCHEMA: u32 = 2;
/// Folder of a bundle with the ONNX files and their weights.
pub const ONNX_FOLDER: &str = "onnx";
/// Folder of a bundle with the engines.
pub const ENGINES_FOLDER: &str = "engines";

/// What a bundle holds. All paths are relative to the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleManifest {
    /// Version of the manifest: [`BUNDLE_SCHEMA`].
    pub schema: u32,
    /// Name of the preset, if the configuration is one.
    pub preset: Option<String>,
    /// Configuration of the model, which engines do not read.
    pub config: serde_json::Value,
    /// The stages by name; of each, the variants by name.
    pub stages: BTreeMap<String, BTreeMap<String, BundleVariant>>,
    /// Size and digest of every file that a variant names.
    pub files: BTreeMap<RelativePath, FileEntry>,
}

/// One engine of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleVariant {
    /// Name of the backend.
    pub backend: String,
    /// Precision of the arithmetic.
    pub precision: String,
    /// Where the engine runs.
    pub device: Device,
    /// The ONNX file that the engine was built from.
    pub onnx: RelativePath,
    /// Files with external weights, which the engine reads too.
    pub weights: Vec<RelativePath>,
    /// The engine's own files, the one to open first.
    pub engine: Vec<RelativePath>,
    /// Digest of everything the engine depends on.
    pub key: Digest,
    /// Digest of the graph's listing.
    pub graph_digest: Digest,
    /// Digest of the weights that the graph uses.
    pub weights_digest: Digest,
    /// Digest of the calibration that went into the graph.
    pub calibration_digest: Option<Digest>,
    /// Ranges that the engine was built for, one or several; a call must fit one of them.
    pub profiles: Vec<Profile>,
    /// What the engine runs on.
    pub target: EngineTarget,
    /// What it was compiled with.
    pub options: CompileOptions,
    /// Versions of the libraries that built it, by name.
    pub libraries: BTreeMap<String, String>,
}

impl BundleVariant {
    /// Every file of the variant.
    pub fn files(&self) -> impl Iterator<Item = &RelativePath> {
        std::iter::once(&self.onnx).chain(&self.weights).chain(&self.engine)
    }

    /// The command that builds such an engine.
    pub(crate) fn build_command(&self) -> String {
        let mut command = format!("egom2p build EXPORTED --out BUNDLE --backend {}", self.backend);
        match &self.target {
            EngineTarget::Cpu | EngineTarget::Device { .. } => {}
            // A backend that runs on any GPU also runs without one.
            EngineTarget::ComputeCapabilities(capabilities) if capabilities.is_empty() => {
                command = format!("{command} --device {}", self.device);
            }
            EngineTarget::ComputeCapabilities(capabilities) => {
                let capabilities: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
                command = format!("{command} --compute-capability {}", capabilities.join(","));
            }
        }
        command
    }
}

impl BundleManifest {
    /// Reads and checks the manifest of a bundle.
    pub fn read(bundle: &Path) -> Result<Self> {
        let path = bundle.join(BUNDLE_MANIFEST_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BundleError::NotABundle { path: bundle.to_owned() });
            }
            Err(source) => {
                let mend = "check that the file is there and can be read";
                return Err(EngineError::Read { path, source, mend }.into());
            }
        };
        let damaged = |what: String| BundleError::Damaged { path: path.clone(), what };
        let Schema { schema } = serde_json::from_str(&text).map_err(|error| damaged(first_line(&error)))?;
        if schema > u64::from(BUNDLE_SCHEMA) {
            return Err(BundleError::NewerSchema { path, expected: BUNDLE_SCHEMA, got: schema });
        }
        if schema < u64::from(BUNDLE_SCHEMA) {
            return Err(damaged(format!("it has schema {schema}, this program reads {BUNDLE_SCHEMA}")));
        }
        let manifest: Self = serde_json::from_str(&text).map_err(|error| damaged(first_line(&error)))?;
        for (stage, variants) in &manifest.stages {
            for (name, variant) in variants {
                let of = |what: String| damaged(format!("stage {stage}, variant {name} {what}"));
                if variant.engine.is_empty() {
                    return Err(of("has no engine".to_owned()));
                }
                if let Some(missing) = variant.files().find(|file| !manifest.files.contains_key(file)) {
                    return Err(of(format!("names {missing}, which is not listed under \"files\"")));
                }
            }
        }
        Ok(manifest)
    }

    /// The files of a bundle of an earlier schema, as a manifest without stages: what a build that replaces it removes.
    pub(crate) fn earlier(bundle: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(bundle.join(BUNDLE_MANIFEST_FILE)).ok()?;
        let Earlier { schema, files } = serde_json::from_str(&text).ok()?;
        let config = serde_json::Value::Null;
        (schema < BUNDLE_SCHEMA).then(|| Self { schema, preset: None, config, stages: BTreeMap::new(), files })
    }

    /// The variants with the names of stage and variant.
    pub(crate) fn variants(&self) -> impl Iterator<Item = (&str, &str, &BundleVariant)> {
        self.stages
            .iter()
            .flat_map(|(stage, variants)| variants.iter().map(move |(name, variant)| (&**stage, &**name, variant)))
    }
}

/// What has been the same in every schema.
#[derive(Deserialize)]
struct Earlier {
    schema: u32,
    files: BTreeMap<RelativePath, FileEntry>,
}

/// The field that is read before the others, which a newer manifest may lay out differently.
#[derive(Deserialize)]
struct Schema {
    schema: u64,
}

fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
