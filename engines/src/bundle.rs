use crate::backends::open_backend;
use crate::hashing::digest_file;
use crate::{BackendOptions, BundleError, BundleManifest, BundleVariant, Result};
use egom2p_engine_core::{Engine, OpenRequest, RelativePath, Session, SessionOptions};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// An opened bundle: a folder of engines, read through its manifest.
#[derive(Debug)]
pub struct Bundle {
    folder: PathBuf,
    manifest: BundleManifest,
    options: BackendOptions,
    verified: Mutex<Verified>,
}

/// How much was checked against digests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Verification {
    /// Bytes that were hashed.
    pub n_bytes: u64,
    /// Seconds that it took.
    pub secs: f64,
}

#[derive(Debug, Default)]
struct Verified {
    files: BTreeSet<RelativePath>,
    total: Verification,
}

impl Bundle {
    /// Opens a bundle: reads its manifest and checks that every file is there with its size. Nothing native is opened
    /// and nothing is hashed.
    pub fn open(folder: &Path, options: BackendOptions) -> Result<Self> {
        let manifest = BundleManifest::read(folder)?;
        let bundle = Self { folder: folder.to_owned(), manifest, options, verified: Mutex::default() };
        for (file, entry) in &bundle.manifest.files {
            let n_bytes = file_bytes(folder, file).map_err(|what| bundle.file_error(file, what))?;
            if n_bytes != entry.bytes {
                let what = format!("has {n_bytes} bytes, expected {}", entry.bytes);
                return Err(bundle.file_error(file, what));
            }
        }
        Ok(bundle)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest.
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// Names of the stages.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        self.manifest.stages.keys().map(|stage| &**stage)
    }

    /// Whether there is such a stage.
    pub fn has_stage(&self, stage: &str) -> bool {
        self.manifest.stages.contains_key(stage)
    }

    /// Names of the variants of a stage.
    pub fn variants(&self, stage: &str) -> Result<Vec<&str>> {
        match self.manifest.stages.get(stage) {
            Some(variants) => Ok(variants.keys().map(|variant| &**variant).collect()),
            None => Err(BundleError::NoStage {
                bundle: self.folder.clone(),
                stage: stage.to_owned(),
                stages: self.manifest.stages.keys().cloned().collect(),
            }),
        }
    }

    /// What the manifest says about one engine.
    pub fn variant(&self, stage: &str, variant: &str) -> Result<&BundleVariant> {
        let names = self.variants(stage)?;
        self.manifest.stages[stage].get(variant).ok_or_else(|| BundleError::NoVariant {
            stage: stage.to_owned(),
            variant: variant.to_owned(),
            variants: names.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Opens an engine, after checking its files against their digests. A file is hashed once per opened bundle.
    pub fn engine(&self, stage: &str, variant: &str) -> Result<Box<dyn Engine>> {
        let entry = self.variant(stage, variant)?;
        let backend = open_backend(entry.backend.parse()?, &self.options)?;
        let found = backend.check()?.version;
        match entry.libraries.get(backend.name()) {
            Some(built) if *built == found => {}
            // The library itself compares the versions of an engine that was built for later ones too.
            Some(_) if entry.options.version_compatible => {}
            built => {
                return Err(BundleError::LibraryVersion {
                    stage: stage.to_owned(),
                    library: backend.name().to_owned(),
                    built: built.cloned().unwrap_or_else(|| "an unknown version".to_owned()),
                    found,
                    command: entry.build_command(),
                });
            }
        }
        self.verify(entry.weights.iter().chain(&entry.engine))?;
        let request =
            OpenRequest { root: &self.folder, files: &entry.engine, profiles: &entry.profiles, device: entry.device };
        Ok(backend.open(&request)?)
    }

    /// Opens an engine and loads its weights.
    pub fn session(&self, stage: &str, variant: &str, options: &SessionOptions) -> Result<Box<dyn Session>> {
        Ok(self.engine(stage, variant)?.session(options)?)
    }

    /// Checks every file of the bundle against its digest.
    pub fn verify_all(&self) -> Result<()> {
        self.verify(self.manifest.files.keys())
    }

    /// How much has been checked so far.
    pub fn verification(&self) -> Verification {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    fn verify<'f>(&self, files: impl Iterator<Item = &'f RelativePath>) -> Result<()> {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        for file in files {
            if verified.files.contains(file) {
                continue;
            }
            let Some(entry) = self.manifest.files.get(file) else {
                return Err(self.file_error(file, "is not listed in the manifest".to_owned()));
            };
            let path = file.below(&self.folder);
            let started = Instant::now();
            let (got, n_bytes) = digest_file(&path)?;
            if got != entry.blake3 {
                return Err(BundleError::Digest { path, expected: entry.blake3, got });
            }
            verified.total.n_bytes += n_bytes;
            verified.total.secs += started.elapsed().as_secs_f64();
            verified.files.insert(file.clone());
        }
        Ok(())
    }

    fn file_error(&self, file: &RelativePath, what: String) -> BundleError {
        BundleError::File { bundle: self.folder.clone(), file: file.clone(), what }
    }
}

/// Size of a file that really lies in the folder.
pub(crate) fn file_bytes(folder: &Path, file: &RelativePath) -> Result<u64, String> {
    let path = file.below(folder);
    let (Ok(root), Ok(path)) = (folder.canonicalize(), path.canonicalize()) else {
        return Err("is missing".to_owned());
    };
    if !path.starts_with(root) {
        return Err("is a link that leads out of the bundle".to_owned());
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err("is not a file".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}
