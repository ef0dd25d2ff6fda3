//! Whole folders: the ONNX files of all stages, the weights they share, and a manifest.

mod pending;
mod record;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use egom2p_engine_core::{
    Digest, EXPORT_MANIFEST_FILE, EXPORT_MANIFEST_SCHEMA, ExportManifest, ExportedVariant, FileEntry, Profile,
    RelativePath,
};
use egom2p_graph::{Graph, Parameters};

use crate::{ExportError, ExternalLayout, Target, WrittenWeights, export_graph, reads::reads, write_weights};
use pending::Pending;
use record::{RECORD_FILE, Record};

/// The variant whose file is named after the stage alone.
const DEFAULT_VARIANT: &str = "default";

/// A folder to write.
pub struct FolderExport<'a> {
    /// Who will read the models.
    pub target: Target,
    /// The name of the preset, if the configuration is one.
    pub preset: Option<&'a str>,
    /// The configuration of the model, kept in the manifest.
    pub config: serde_json::Value,
    /// The stages, each in one or several variants.
    pub stages: &'a [StageExport<'a>],
    /// The weights files that the stages read.
    pub weights: &'a [WeightsExport<'a>],
}

/// One variant of a stage.
pub struct StageExport<'a> {
    /// The stage, such as `encoder`.
    pub stage: &'a str,
    /// The variant; the one called `default` is written to `STAGE.onnx`, others to `STAGE.VARIANT.onnx`.
    pub variant: &'a str,
    /// What it computes.
    pub graph: &'a Graph,
    /// The weights file that it reads, without its extension: one of [`FolderExport::weights`].
    pub weights: &'a str,
    /// The precision that its products are computed in, such as `fp16`; kept in the manifest.
    pub precision: &'a str,
    /// Default ranges of the named dimensions, one or several; the last one holds everything that is legal.
    pub profiles: Vec<Profile>,
}

/// One weights file.
pub struct WeightsExport<'a> {
    /// Its name without the extension `.weights`.
    pub name: &'a str,
    /// The values.
    pub parameters: &'a dyn Parameters,
    /// A digest of all that decides the values, such as the digest of the file they come from.
    pub digest: Digest,
    /// The names of everything that the source holds, where each must be read by a stage.
    pub all_used: Option<&'a [String]>,
}

/// What an export did.
#[derive(Debug)]
pub struct ExportReport {
    /// The manifest of the folder.
    pub manifest: ExportManifest,
    /// The files that were written.
    pub written: Vec<RelativePath>,
    /// The files that stand as they were.
    pub unchanged: Vec<RelativePath>,
    /// The files of an earlier export that no stage needs any more and that were removed.
    pub removed: Vec<RelativePath>,
}

/// Writes `folder`: `STAGE[.VARIANT].onnx`, `NAME.weights` and `export.json`.
///
/// Files that would not change are left alone. New files are complete before the first of them takes its place, and the
/// manifest takes its place last: an export that fails leaves an earlier one as it was. Tensors are read one at a time.
pub fn export_folder(folder: &Path, export: &FolderExport<'_>) -> Result<ExportReport, ExportError> {
    let earlier = ExportManifest::read(folder).ok();
    let record = Record::read(folder);
    let layouts = layouts(export)?;
    let models = models(export, &layouts)?;
    fs::create_dir_all(folder).map_err(ExportError::io("create", folder))?;

    let mut pending = Pending::new(folder);
    let mut report = Progress::default();
    let mut made = BTreeMap::new();
    let mut new_record = Record::new();
    for weights in export.weights {
        let layout = &layouts[weights.name];
        let name = file(layout.location())?;
        let inputs = inputs(layout, weights);
        let (contents, path) = if let Some(contents) = record.unchanged(folder, &name, &inputs) {
            report.unchanged.push(name.clone());
            (contents, name.below(folder))
        } else {
            let path = pending.add(&name);
            let graphs = export.stages.iter().filter(|stage| stage.weights == weights.name).map(|stage| stage.graph);
            let contents = write_weights(&path, layout, graphs, weights.parameters)?;
            report.written.push(name.clone());
            (contents, path)
        };
        // Renaming keeps the time of writing.
        new_record.insert(name.clone(), &path, inputs, &contents);
        report.files.insert(name, contents.file);
        made.insert(weights.name, contents);
    }
    for (name, bytes) in &models {
        report.put(&mut pending, folder, name, bytes)?;
        let blake3 = Digest::from_bytes(*blake3::hash(bytes).as_bytes());
        report.files.insert(name.clone(), FileEntry { bytes: bytes.len() as u64, blake3 });
    }
    let manifest = manifest(export, &layouts, &made, report.files.clone())?;
    report.put(&mut pending, folder, &file(RECORD_FILE)?, &json(&new_record, folder)?)?;
    report.put(&mut pending, folder, &file(EXPORT_MANIFEST_FILE)?, &json(&manifest, folder)?)?;
    pending.publish()?;

    let stale = earlier.map(|earlier| earlier.files).unwrap_or_default().into_keys();
    let stale: Vec<RelativePath> = stale.filter(|name| !manifest.files.contains_key(name)).collect();
    for name in &stale {
        let path = name.below(folder);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ExportError::io("remove", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(ExportReport { manifest, written: report.written, unchanged: report.unchanged, removed: stale })
}

#[derive(Default)]
struct Progress {
    written: Vec<RelativePath>,
    unchanged: Vec<RelativePath>,
    files: BTreeMap<RelativePath, FileEntry>,
}

impl Progress {
    /// Writes a file unless it says the same already.
    fn put(
        &mut self,
        pending: &mut Pending<'_>,
        folder: &Path,
        name: &RelativePath,
        bytes: &[u8],
    ) -> Result<(), ExportError> {
        if fs::read(name.below(folder)).is_ok_and(|present| present == bytes) {
            self.unchanged.push(name.clone());
            return Ok(());
        }
        pending.write(name, bytes)?;
        self.written.push(name.clone());
        Ok(())
    }
}

/// The layout of every weights file, by its name without extension.
fn layouts<'a>(export: &FolderExport<'a>) -> Result<BTreeMap<&'a str, ExternalLayout>, ExportError> {
    let mut layouts = BTreeMap::new();
    for weights in export.weights {
        check_name(weights.name)?;
        let graphs = export.stages.iter().filter(|stage| stage.weights == weights.name).map(|stage| stage.graph);
        let layout = ExternalLayout::new(format!("{}.weights", weights.name), graphs)?;
        let used: BTreeSet<&str> = layout.tensors().map(|(_, tensor)| tensor.source.as_str()).collect();
        let unused = weights.all_used.unwrap_or_default().iter().filter(|name| !used.contains(name.as_str()));
        let unused: Vec<String> = unused.cloned().collect();
        if !unused.is_empty() {
            return Err(ExportError::Unused { location: layout.location().to_owned(), names: unused });
        }
        if layouts.insert(weights.name, layout).is_some() {
            return Err(ExportError::SameFile { file: format!("{}.weights", weights.name) });
        }
    }
    Ok(layouts)
}

/// The bytes of every ONNX file.
fn models(
    export: &FolderExport<'_>,
    layouts: &BTreeMap<&str, ExternalLayout>,
) -> Result<BTreeMap<RelativePath, Vec<u8>>, ExportError> {
    let mut models = BTreeMap::new();
    for stage in export.stages {
        let layout = layouts.get(stage.weights).ok_or_else(|| ExportError::NoWeights {
            stage: stage.stage.to_owned(),
            weights: stage.weights.to_owned(),
        })?;
        let name = onnx_file(stage)?;
        let bytes = export_graph(stage.graph, export.target, layout)?;
        if models.insert(name.clone(), bytes).is_some() {
            return Err(ExportError::SameFile { file: name.to_string() });
        }
    }
    Ok(models)
}

fn manifest(
    export: &FolderExport<'_>,
    layouts: &BTreeMap<&str, ExternalLayout>,
    made: &BTreeMap<&str, WrittenWeights>,
    files: BTreeMap<RelativePath, FileEntry>,
) -> Result<ExportManifest, ExportError> {
    let mut stages: BTreeMap<String, Vec<ExportedVariant>> = BTreeMap::new();
    for stage in export.stages {
        let listing = format!("{}\n{}", export.target, stage.graph);
        let variant = ExportedVariant {
            name: stage.variant.to_owned(),
            precision: stage.precision.to_owned(),
            onnx: onnx_file(stage)?,
            weights: vec![file(layouts[stage.weights].location())?],
            graph_digest: Digest::from_bytes(*blake3::hash(listing.as_bytes()).as_bytes()),
            weights_digest: weights_digest(stage.graph, &made[stage.weights]),
            calibration_digest: None,
            profiles: stage.profiles.clone(),
        };
        stages.entry(stage.stage.to_owned()).or_default().push(variant);
    }
    Ok(ExportManifest {
        schema: EXPORT_MANIFEST_SCHEMA,
        target: export.target.to_string(),
        preset: export.preset.map(str::to_owned),
        config: export.config.clone(),
        stages,
        files,
    })
}

/// The digest of the tensors that a graph reads: names, which tell half precisions apart, shapes and contents.
fn weights_digest(graph: &Graph, made: &WrittenWeights) -> Digest {
    let tensors: BTreeSet<_> = reads(graph).into_iter().map(|(stored, shape)| (stored.name(), shape)).collect();
    let mut hasher = blake3::Hasher::new();
    for (name, shape) in tensors {
        hasher.update(format!("{name} {shape:?} {}\n", made.tensors[&name]).as_bytes());
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

/// The digest of all that decides a weights file's bytes.
fn inputs(layout: &ExternalLayout, weights: &WeightsExport<'_>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(weights.digest.as_bytes());
    for (name, tensor) in layout.tensors() {
        hasher.update(format!("{name} {} {:?} {}\n", tensor.dtype, tensor.shape, tensor.offset_bytes).as_bytes());
    }
    Digest::from_bytes(*hasher.finalize().as_bytes())
}

fn json(value: &impl serde::Serialize, folder: &Path) -> Result<Vec<u8>, ExportError> {
    let mut json = serde_json::to_vec_pretty(value).map_err(|error| ExportError::io("write", folder)(error.into()))?;
    json.push(b'\n');
    Ok(json)
}

fn onnx_file(stage: &StageExport<'_>) -> Result<RelativePath, ExportError> {
    check_name(stage.stage)?;
    check_name(stage.variant)?;
    file(&match stage.variant {
        DEFAULT_VARIANT => format!("{}.onnx", stage.stage),
        variant => format!("{}.{variant}.onnx", stage.stage),
    })
}

fn check_name(name: &str) -> Result<(), ExportError> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_fit) {
        Ok(())
    } else {
        Err(ExportError::FileName { name: name.to_owned() })
    }
}

fn file(name: &str) -> Result<RelativePath, ExportError> {
    RelativePath::new(name).map_err(|_| ExportError::FileName { name: name.to_owned() })
}
