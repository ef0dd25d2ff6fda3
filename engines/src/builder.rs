use crate::build::{BuildOptions, BuildSummary, BuiltVariant};
use crate::bundle::file_bytes;
use crate::manifest::{BUNDLE_MANIFEST_FILE, BUNDLE_SCHEMA, ENGINES_FOLDER, ONNX_FOLDER};
use crate::stamps::Stamps;
use crate::{BundleError, BundleManifest, BundleVariant, Progress, Result};
use egom2p_engine_core::{
    AdoptRequest, Backend, BuildReport, BuildRequest, CompileOptions, Digest, EngineError, EngineRecord, EngineTarget,
    ExportManifest, ExportedVariant, FileEntry, Profile, RelativePath,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Part of every key; raised when a change to this program makes other engines of the same inputs.
const KEY_VERSION: u32 = 2;
/// What the names of unfinished files and folders begin with.
const PARTIAL: &str = ".partial-";

/// Makes a bundle from an exported folder.
///
/// Everything new is made in a folder inside the bundle and moved into place at the end, the manifest last: a build that
/// is stopped leaves the bundle as it was, and the next build removes what is left of it.
pub struct Builder<'a> {
    backend: &'a dyn Backend,
    options: BuildOptions,
}

impl<'a> Builder<'a> {
    /// A builder of engines of this backend.
    pub fn new(backend: &'a dyn Backend, mut options: BuildOptions) -> Self {
        options.compile.compute_capabilities.sort_unstable();
        options.compile.compute_capabilities.dedup();
        Self { backend, options }
    }

    /// Makes the bundle, or brings it up to date. `exported` may be the folder `onnx` of the bundle itself; then
    /// nothing is copied.
    pub fn build(&self, exported: &Path, bundle: &Path, progress: &mut dyn Progress) -> Result<BuildSummary> {
        let started = Instant::now();
        let export = ExportManifest::read(exported)?;
        self.check_target(exported, &export)?;
        let selected = self.selected(exported, &export)?;
        self.check_adopted(&selected)?;
        create_dir(bundle)?;
        remove_partial(bundle)?;
        let old = self.old_manifest(bundle)?;
        let stamps = if self.options.force { Stamps::default() } else { Stamps::read(bundle) };
        let library = self.backend.check()?;
        let target = self.backend.target(self.options.device, &self.options.compile)?;
        let in_place = same_folder(exported, &bundle.join(ONNX_FOLDER));
        let mut work = Work {
            backend: self.backend,
            options: &self.options,
            exported,
            bundle,
            in_place,
            staging: Staging::new(bundle),
            export: &export,
            library_version: &library.version,
            target: &target,
            stamps,
            new: BundleManifest {
                schema: BUNDLE_SCHEMA,
                preset: export.preset.clone(),
                config: export.config.clone(),
                stages: BTreeMap::new(),
                files: BTreeMap::new(),
            },
            summary: BuildSummary::default(),
        };
        work.run(&selected, old.as_ref(), progress)?;
        work.summary.secs = started.elapsed().as_secs_f64();
        Ok(work.summary)
    }

    /// Fails unless the backend reads the export: it was lowered for every reader, or for this backend on this device.
    fn check_target(&self, exported: &Path, export: &ExportManifest) -> Result<()> {
        let (backend, device) = (self.backend.name(), self.options.device);
        if export.target.starts_with("standard-") || export.target == format!("{backend}-{device}") {
            return Ok(());
        }
        let is_other_device = export.target.starts_with(&format!("{backend}-"));
        Err(BundleError::ExportTarget {
            exported: exported.to_owned(),
            target: export.target.clone(),
            backend: if is_other_device { format!("{backend} on {device}") } else { backend.to_owned() },
        })
    }

    /// Fails unless every engine that was built elsewhere stands in for one that is to be built.
    fn check_adopted(&self, selected: &[Planned<'_>]) -> Result<()> {
        for (stage, variant) in self.options.adopted.keys() {
            if !selected.iter().any(|planned| planned.stage == stage && planned.variant.name == *variant) {
                return Err(BundleError::UnknownAdopted {
                    engine: format!("{stage}.{variant}"),
                    engines: selected.iter().map(Planned::label).collect(),
                });
            }
        }
        Ok(())
    }

    /// The stages to build, with the ranges of the options put in.
    fn selected<'e>(&self, exported: &Path, export: &'e ExportManifest) -> Result<Vec<Planned<'e>>> {
        for stage in self.options.stages.iter().flatten() {
            if !export.stages.contains_key(stage) {
                return Err(BundleError::NotExported {
                    exported: exported.to_owned(),
                    stage: stage.clone(),
                    stages: export.stages.keys().cloned().collect(),
                });
            }
        }
        let is_selected = |stage: &String| self.options.stages.as_ref().is_none_or(|stages| stages.contains(stage));
        let planned: Vec<_> = export
            .stages
            .iter()
            .filter(|(stage, _)| is_selected(stage))
            .flat_map(|(stage, variants)| variants.iter().map(move |variant| (stage, variant)))
            .map(|(stage, variant)| {
                let profiles = self.options.profiles.apply(stage, &variant.profiles);
                Planned { stage, variant, profiles }
            })
            .collect();
        let mut dims: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for planned in &planned {
            let names = planned.variant.profiles.iter().flat_map(|profile| profile.dims.keys().map(|dim| &**dim));
            dims.entry(planned.stage).or_default().extend(names);
        }
        self.options.profiles.check(&dims)?;
        Ok(planned)
    }

    fn old_manifest(&self, bundle: &Path) -> Result<Option<BundleManifest>> {
        match BundleManifest::read(bundle) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(BundleError::NotABundle { .. }) => Ok(None),
            Err(_) if self.options.force => Ok(None),
            // A build of all stages keeps nothing of an earlier schema; one of some would lose the others.
            Err(error) => {
                let earlier = BundleManifest::earlier(bundle).filter(|_| self.options.stages.is_none());
                earlier.map_or(Err(error), |earlier| Ok(Some(earlier)))
            }
        }
    }
}

/// An engine that the bundle is to have.
struct Planned<'e> {
    stage: &'e str,
    variant: &'e ExportedVariant,
    profiles: Vec<Profile>,
}

impl Planned<'_> {
    fn label(&self) -> String {
        format!("{}.{}", self.stage, self.variant.name)
    }
}

/// What decides where an engine runs, and on what.
struct Made {
    profiles: Vec<Profile>,
    target: EngineTarget,
    options: CompileOptions,
}

/// The work on one bundle.
struct Work<'a> {
    backend: &'a dyn Backend,
    options: &'a BuildOptions,
    exported: &'a Path,
    bundle: &'a Path,
    /// Whether the exported folder is the bundle's own.
    in_place: bool,
    staging: Staging,
    export: &'a ExportManifest,
    library_version: &'a str,
    target: &'a EngineTarget,
    stamps: Stamps,
    new: BundleManifest,
    summary: BuildSummary,
}

impl Work<'_> {
    fn run(
        &mut self,
        selected: &[Planned<'_>],
        old: Option<&BundleManifest>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let mut to_build = Vec::new();
        for planned in selected {
            let key = self.key(planned)?;
            let existing = old.and_then(|old| old.stages.get(planned.stage)?.get(&planned.variant.name));
            match existing.filter(|existing| existing.key == key && !self.options.force) {
                Some(existing) if self.is_intact(old, existing)? => {
                    self.keep(old, planned.stage, &planned.variant.name, existing);
                    self.summary.unchanged.push((planned.stage.to_owned(), planned.variant.name.clone()));
                }
                _ => to_build.push((planned, key)),
            }
        }
        progress.planned(to_build.len(), self.summary.unchanged.len());
        for (stage, variant) in &self.summary.unchanged {
            progress.skipped(stage, variant);
        }
        for (planned, key) in to_build {
            self.build_variant(planned, key, progress)?;
        }
        self.keep_others(selected, old)?;
        self.commit(old)
    }

    /// The engine that was built elsewhere and stands in for this one.
    fn adopted(&self, planned: &Planned<'_>) -> Option<&Path> {
        let name = (planned.stage.to_owned(), planned.variant.name.clone());
        self.options.adopted.get(&name).map(PathBuf::as_path)
    }

    /// Digest of everything an engine depends on.
    fn key(&self, planned: &Planned<'_>) -> Result<Digest> {
        let variant = planned.variant;
        let adopted = self.adopted(planned).map(crate::digest_file).transpose()?;
        let onnx = self.export.files.get(&variant.onnx).map(|file| file.blake3);
        let parts = serde_json::json!({
            "key": KEY_VERSION,
            "graph": variant.graph_digest,
            "onnx": [variant.onnx.as_str(), onnx.map(String::from).unwrap_or_default()],
            "weights": variant.weights_digest,
            "calibration": variant.calibration_digest,
            "precision": variant.precision,
            "profiles": planned.profiles,
            "backend": self.backend.name(),
            "library": self.library_version,
            "device": self.options.device,
            "target": self.target,
            "compile": self.options.compile,
            "adopted": adopted.map(|(digest, _)| digest),
        });
        Ok(Digest::from_bytes(blake3::hash(parts.to_string().as_bytes()).into()))
    }

    /// Whether an engine's files are in the bundle as its manifest says, and as the export says.
    fn is_intact(&mut self, old: Option<&BundleManifest>, variant: &BundleVariant) -> Result<bool> {
        let Some(old) = old else {
            return Ok(false);
        };
        for file in variant.files() {
            let Some(entry) = old.files.get(file) else {
                return Ok(false);
            };
            if let Some(exported) = self.exported_entry(file)
                && exported != *entry
            {
                return Ok(false);
            }
            if file_bytes(self.bundle, file) != Ok(entry.bytes)
                || self.stamps.digest(self.bundle, file, self.options.verify)? != *entry
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the export says about a file of the bundle.
    fn exported_entry(&self, file: &RelativePath) -> Option<FileEntry> {
        let exported = file.as_str().strip_prefix(ONNX_FOLDER)?.strip_prefix('/')?;
        self.export.files.get(&RelativePath::new(exported).ok()?).copied()
    }

    /// Takes an engine over from the old manifest.
    fn keep(&mut self, old: Option<&BundleManifest>, stage: &str, name: &str, variant: &BundleVariant) {
        for file in variant.files() {
            if let Some(entry) = old.and_then(|old| old.files.get(file)) {
                self.new.files.insert(file.clone(), *entry);
            }
        }
        self.new.stages.entry(stage.to_owned()).or_default().insert(name.to_owned(), variant.clone());
    }

    /// Takes over the engines of stages that were not selected, as far as none of their files has changed. An engine
    /// that was selected once and is no longer exported is dropped.
    fn keep_others(&mut self, selected: &[Planned<'_>], old: Option<&BundleManifest>) -> Result<()> {
        let Some(old) = old else {
            return Ok(());
        };
        for (stage, name, variant) in old.variants() {
            if self.new.stages.get(stage).is_some_and(|variants| variants.contains_key(name)) {
                continue;
            }
            let was_left_out = self.options.stages.is_some() && !selected.iter().any(|planned| planned.stage == stage);
            if was_left_out && self.is_intact(Some(old), variant)? {
                self.keep(Some(old), stage, name, variant);
            } else {
                self.summary.dropped.push((stage.to_owned(), name.to_owned()));
            }
        }
        Ok(())
    }

    fn build_variant(&mut self, planned: &Planned<'_>, key: Digest, progress: &mut dyn Progress) -> Result<()> {
        let variant = planned.variant;
        let onnx = self.bring(&variant.onnx, progress)?;
        let weights = variant.weights.iter().map(|file| self.bring(file, progress)).collect::<Result<Vec<_>>>()?;
        progress.started(planned.stage, &variant.name);
        let started = Instant::now();
        let request = BuildRequest {
            root: &self.staging.folder,
            onnx: &onnx,
            engine_dir: &RelativePath::new(ENGINES_FOLDER)?,
            name: &format!("{}-{}", planned.label(), &key.to_string()[..12]),
            profiles: &planned.profiles,
            device: self.options.device,
            options: &self.options.compile,
            monitor: progress.monitor(),
        };
        let report = match self.adopted(planned) {
            Some(engine) => self.backend.adopt(&AdoptRequest { build: request, engine }),
            None => self.backend.build(&request),
        };
        let report = report.map_err(|error| self.blaming_source(error))?;
        let made = self.made(planned, &report)?;
        for file in &report.files {
            let entry = self.stamps.digest(&self.staging.folder, file, true)?;
            self.new.files.insert(file.clone(), entry);
            self.staging.files.insert(file.clone());
        }
        let secs = started.elapsed().as_secs_f64();
        progress.finished(planned.stage, &variant.name, secs, &report);
        let entry = BundleVariant {
            backend: self.backend.name().to_owned(),
            precision: variant.precision.clone(),
            device: self.options.device,
            onnx,
            weights,
            engine: report.files,
            key,
            graph_digest: variant.graph_digest,
            weights_digest: variant.weights_digest,
            calibration_digest: variant.calibration_digest,
            profiles: made.profiles,
            target: made.target,
            options: made.options,
            libraries: [(self.backend.name().to_owned(), self.library_version.to_owned())].into(),
        };
        self.new.stages.entry(planned.stage.to_owned()).or_default().insert(variant.name.clone(), entry);
        self.summary.built.push(BuiltVariant {
            stage: planned.stage.to_owned(),
            variant: variant.name.clone(),
            secs,
            shared_bytes: report.shared_bytes,
            own_bytes: report.own_bytes,
            memory: report.memory,
            peak_bytes: report.peak_bytes,
        });
        Ok(())
    }

    /// What an engine is: as it was asked for, or, where it was built elsewhere, as its record says.
    fn made(&self, planned: &Planned<'_>, report: &BuildReport) -> Result<Made> {
        let engine = report.files.first().filter(|_| self.adopted(planned).is_some());
        let Some(engine) = engine else {
            let (target, options) = (self.target.clone(), self.options.compile.clone());
            return Ok(Made { profiles: planned.profiles.clone(), target, options });
        };
        let record = EngineRecord::read(&EngineRecord::path(&engine.below(&self.staging.folder)))?;
        Ok(Made { profiles: record.profiles, target: record.target, options: record.options })
    }

    /// Brings an exported file to where the backend can read it, checks its content, and gives its path in the bundle.
    fn bring(&mut self, file: &RelativePath, progress: &mut dyn Progress) -> Result<RelativePath> {
        let target = RelativePath::new(ONNX_FOLDER)?.join(file.as_str())?;
        if self.staging.files.contains(&target) || self.staging.borrowed.contains(&target) {
            return Ok(target);
        }
        let Some(expected) = self.export.files.get(file).copied() else {
            return Err(BundleError::File {
                bundle: self.exported.to_owned(),
                file: file.clone(),
                what: "is not listed in the manifest".to_owned(),
            });
        };
        let is_there = file_bytes(self.bundle, &target) == Ok(expected.bytes)
            && self.stamps.digest(self.bundle, &target, self.options.verify || self.options.force)? == expected;
        if is_there {
            self.staging.borrow(self.bundle, &target)?;
        } else if self.in_place {
            let (got, _) = crate::digest_file(&file.below(self.exported))?;
            return Err(BundleError::ExportedFile { path: file.below(self.exported), expected: expected.blake3, got });
        } else {
            progress.copying(file, expected.bytes);
            let path = file.below(self.exported);
            self.staging.copy(&path, &target)?;
            // Moving a file keeps its time, so the stamp holds in the bundle too.
            let got = self.stamps.digest(&self.staging.folder, &target, true)?;
            if got != expected {
                return Err(BundleError::ExportedFile { path, expected: expected.blake3, got: got.blake3 });
            }
        }
        self.new.files.insert(target.clone(), expected);
        Ok(target)
    }

    /// An error about a model, named as the user knows it and not as its copy that is about to be removed.
    fn blaming_source(&self, error: EngineError) -> EngineError {
        let source = |path: PathBuf| {
            let name = path.strip_prefix(self.staging.folder.join(ONNX_FOLDER));
            name.map_or_else(|_| path.clone(), |name| self.exported.join(name))
        };
        match error {
            EngineError::Model { path, what, mend } => EngineError::Model { path: source(path), what, mend },
            EngineError::Memory { onnx, needed_bytes, free_bytes } => {
                EngineError::Memory { onnx: source(onnx), needed_bytes, free_bytes }
            }
            other => other,
        }
    }

    /// Moves everything new into place, the manifest last, and removes what nothing needs any more.
    fn commit(&mut self, old: Option<&BundleManifest>) -> Result<()> {
        if !self.staging.files.is_empty() || old != Some(&self.new) {
            self.staging.create()?;
            for file in &self.staging.files {
                let target = file.below(self.bundle);
                create_dir(target.parent().unwrap_or(self.bundle))?;
                rename(&file.below(&self.staging.folder), &target)?;
            }
            let text = serde_json::to_string_pretty(&self.new).expect("a manifest can always be written as JSON");
            self.staging.replace(self.bundle, BUNDLE_MANIFEST_FILE, &text)?;
        }
        self.remove_stale(old)?;
        for (file, _) in self.new.files.clone() {
            self.stamps.digest(self.bundle, &file, false)?;
        }
        self.stamps.retain(|file| self.new.files.contains_key(file));
        if self.stamps != Stamps::read(self.bundle) {
            self.staging.create()?;
            let (name, text) = self.stamps.to_file();
            self.staging.replace(self.bundle, name, &text)?;
        }
        Ok(())
    }

    /// Removes files that the old manifest names and the new one does not. What no manifest ever named is left alone,
    /// and so is the exported folder when the bundle uses it in place.
    fn remove_stale(&mut self, old: Option<&BundleManifest>) -> Result<()> {
        let onnx = format!("{ONNX_FOLDER}/");
        for file in old.iter().flat_map(|old| old.files.keys()) {
            let is_export = self.in_place && file.as_str().starts_with(&onnx);
            if is_export || self.new.files.contains_key(file) {
                continue;
            }
            let path = file.below(self.bundle);
            match fs::remove_file(&path) {
                Ok(()) => self.summary.removed.push(file.clone()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(EngineError::Write { path, source }.into()),
            }
        }
        Ok(())
    }
}

/// A folder inside the bundle where new files are made. It is laid out like the bundle, so what is built in it keeps
/// working when its files are moved into the bundle.
struct Staging {
    folder: PathBuf,
    /// Files to be moved into the bundle.
    files: BTreeSet<RelativePath>,
    /// Files that are in the bundle already and are lent to the backend.
    borrowed: BTreeSet<RelativePath>,
}

impl Staging {
    fn new(bundle: &Path) -> Self {
        Self { folder: bundle.join(format!("{PARTIAL}build")), files: BTreeSet::new(), borrowed: BTreeSet::new() }
    }

    fn create(&self) -> Result<()> {
        create_dir(&self.folder)
    }

    fn copy(&mut self, from: &Path, file: &RelativePath) -> Result<()> {
        self.make_room(file)?;
        copy(from, &file.below(&self.folder))?;
        self.files.insert(file.clone());
        Ok(())
    }

    /// Lends a file of the bundle: by a second name for it, or by a copy where the file system has none.
    fn borrow(&mut self, bundle: &Path, file: &RelativePath) -> Result<()> {
        self.make_room(file)?;
        let (from, to) = (file.below(bundle), file.below(&self.folder));
        if fs::hard_link(&from, &to).is_err() {
            copy(&from, &to)?;
        }
        self.borrowed.insert(file.clone());
        Ok(())
    }

    /// Writes a file beside the bundle's, and renames it.
    fn replace(&self, bundle: &Path, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|source| EngineError::Write { path: path.clone(), source })?;
        rename(&path, &bundle.join(name))
    }

    fn make_room(&self, file: &RelativePath) -> Result<()> {
        create_dir(file.below(&self.folder).parent().unwrap_or(&self.folder))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The next build removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // Opening first tells a file that cannot be read from a folder that cannot be written.
    fs::File::open(from).map_err(|source| EngineError::Read {
        path: from.to_owned(),
        source,
        mend: "re-export with \"egom2p export\"",
    })?;
    fs::copy(from, to).map_err(|source| EngineError::Write { path: to.to_owned(), source })?;
    Ok(())
}

fn create_dir(path: &Path) -> Result<()> {
    Ok(fs::create_dir_all(path).map_err(|source| EngineError::Write { path: path.to_owned(), source })?)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    Ok(fs::rename(from, to).map_err(|source| EngineError::Write { path: to.to_owned(), source })?)
}

/// Removes what a build that was stopped has left.
fn remove_partial(bundle: &Path) -> Result<()> {
    for folder in [bundle.to_owned(), bundle.join(ENGINES_FOLDER)] {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(|source| EngineError::Write { path, source })?;
            }
        }
    }
    Ok(())
}

fn same_folder(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
