use crate::{Digest, EngineError, Profile, RelativePath, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the manifest in an exported folder.
pub const EXPORT_MANIFEST_FILE: &str = "export.json";
/// Version of the manifest that this program writes and reads.
pub const EXPORT_MANIFEST_SCHEMA: u32 = 2;

/// What an exported folder holds. All paths are relative to the folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportManifest {
    /// Version of the manifest: [`EXPORT_MANIFEST_SCHEMA`].
    pub schema: u32,
    /// Who can read the ONNX files: `standard-` with the number of the operator set for all, or the backend that they
    /// were lowered for and its device, such as `onnxruntime-cpu`.
    pub target: String,
    /// Name of the preset, if the configuration is one.
    pub preset: Option<String>,
    /// Configuration of the model, which engines do not read.
    pub config: serde_json::Value,
    /// The stages by name, each in one or several variants.
    pub stages: BTreeMap<String, Vec<ExportedVariant>>,
    /// Size and digest of every file that a variant names.
    pub files: BTreeMap<RelativePath, FileEntry>,
}

/// One ONNX file of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedVariant {
    /// Name of the variant, such as `masked` and `unmasked`; a stage with one variant calls it `default`.
    pub name: String,
    /// Precision of the arithmetic: `fp32`, `fp16`, `bf16`, `int8` or `fp8`.
    pub precision: String,
    /// The ONNX file.
    pub onnx: RelativePath,
    /// Files with external weights that the ONNX file names.
    pub weights: Vec<RelativePath>,
    /// Digest of the graph's listing.
    pub graph_digest: Digest,
    /// Digest of the weights that the graph uses, over names, shapes and contents.
    pub weights_digest: Digest,
    /// Digest of the calibration that went into the graph.
    pub calibration_digest: Option<Digest>,
    /// Default ranges of the graph's named dimensions, one or several; the last one holds everything that is legal.
    pub profiles: Vec<Profile>,
}

/// Size and digest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size.
    pub bytes: u64,
    /// Digest of the content.
    pub blake3: Digest,
}

impl ExportManifest {
    /// Reads and checks the manifest of an exported folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(EXPORT_MANIFEST_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| EngineError::Read {
            path: path.clone(),
            source,
            mend: "name the folder that \"egom2p export\" wrote",
        })?;
        let damaged =
            |what: String| EngineError::Manifest { path: path.clone(), what, mend: "re-export with \"egom2p export\"" };
        let Schema { schema } = serde_json::from_str(&text).map_err(|error| damaged(first_line(&error)))?;
        if schema != EXPORT_MANIFEST_SCHEMA {
            return Err(EngineError::ManifestSchema { path, expected: EXPORT_MANIFEST_SCHEMA, got: schema });
        }
        let manifest: Self = serde_json::from_str(&text).map_err(|error| damaged(first_line(&error)))?;
        manifest.check().map_err(damaged)?;
        Ok(manifest)
    }

    /// Checks that every file that a variant names is listed, that no variant has two entries and that ranges are in order.
    fn check(&self) -> std::result::Result<(), String> {
        for (stage, variants) in &self.stages {
            check_name(stage)?;
            if variants.is_empty() {
                return Err(format!("stage {stage} has no variant"));
            }
            for (i, variant) in variants.iter().enumerate() {
                check_name(&variant.name)?;
                let label = format!("stage {stage}, variant {}", variant.name);
                if variants[..i].iter().any(|earlier| earlier.name == variant.name) {
                    return Err(format!("{label} stands twice"));
                }
                if let Some(missing) =
                    std::iter::once(&variant.onnx).chain(&variant.weights).find(|path| !self.files.contains_key(path))
                {
                    return Err(format!("{label} names {missing}, which is not listed under \"files\""));
                }
                for profile in &variant.profiles {
                    profile.check().map_err(|error| format!("{label}: {}", first_line(&error)))?;
                }
            }
        }
        Ok(())
    }
}

/// The field that is read before the others, which a newer manifest may lay out differently.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// Names become parts of file names.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!("{name:?} is no name of a stage or variant: expected letters, digits, \"_\" and \"-\""))
}

fn first_line(error: &impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
