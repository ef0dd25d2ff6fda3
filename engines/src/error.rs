use egom2p_engine_core::{Digest, EngineError, RelativePath, RelativePathError};
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = BundleError> = std::result::Result<T, E>;

/// What can go wrong with bundles. The text has two lines: what, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// An engine or a backend failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The folder is no bundle.
    #[error("{} is not a bundle: it has no bundle.json\nmake one with \"egom2p build EXPORTED --out BUNDLE\"", path.display())]
    NotABundle {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is damaged.
    #[error("{} is not valid: {what}\nbuild the bundle again with \"egom2p build --force\"", path.display())]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The manifest is newer than this program.
    #[error(
        "{} has schema {got}: this program reads schema {expected}\n\
         use the version of egom2p that built the bundle, or a newer one", path.display()
    )]
    NewerSchema {
        /// The manifest.
        path: PathBuf,
        /// The version that this program reads.
        expected: u32,
        /// The version of the file.
        got: u64,
    },
    /// A file of the bundle is missing, has another size or is a link that leads out.
    #[error("bundle {} is incomplete: {file} {what}\nbuild again with \"egom2p build EXPORTED --out BUNDLE\"", bundle.display())]
    File {
        /// The bundle.
        bundle: PathBuf,
        /// The file.
        file: RelativePath,
        /// What is wrong.
        what: String,
    },
    /// A file's content is not what it was when the bundle was built.
    #[error(
        "{} has changed: expected digest {expected}, got {got}\n\
         copy the file again, or build again with \"egom2p build --verify EXPORTED --out BUNDLE\"", path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// Digest in the manifest.
        expected: Digest,
        /// Digest of the content.
        got: Digest,
    },
    /// A file's content is not what the export's manifest says.
    #[error(
        "{} has changed since it was exported: expected digest {expected}, got {got}\n\
         re-export with \"egom2p export\"", path.display()
    )]
    ExportedFile {
        /// The file.
        path: PathBuf,
        /// Digest in the manifest.
        expected: Digest,
        /// Digest of the content.
        got: Digest,
    },
    /// The bundle does not have a stage.
    #[error(
        "bundle {} has no stage {stage}: it has {}\n\
         build it: \"egom2p build EXPORTED --out BUNDLE --stages {stage}\"", bundle.display(), list(stages)
    )]
    NoStage {
        /// The bundle.
        bundle: PathBuf,
        /// The stage.
        stage: String,
        /// The stages that it has.
        stages: Vec<String>,
    },
    /// The export does not have a stage.
    #[error(
        "{} has no stage {stage}: it has {}\n\
         name a stage that was exported, or export with the weights that it needs", exported.display(), list(stages)
    )]
    NotExported {
        /// The exported folder.
        exported: PathBuf,
        /// The stage.
        stage: String,
        /// The stages that it has.
        stages: Vec<String>,
    },
    /// The stage does not have a variant.
    #[error("stage {stage} has no variant {variant}: it has {}\nname one of these", list(variants))]
    NoVariant {
        /// The stage.
        stage: String,
        /// The variant.
        variant: String,
        /// The variants that it has.
        variants: Vec<String>,
    },
    /// The engine was built by another version of the library.
    #[error(
        "stage {stage} was built with {library} {built}, this machine has {found}\n\
         build again with \"{command}\", or install {library} {built}"
    )]
    LibraryVersion {
        /// The stage.
        stage: String,
        /// Name of the library.
        library: String,
        /// Version that built the engine.
        built: String,
        /// Version that was found.
        found: String,
        /// The command that builds it again.
        command: String,
    },
    /// A backend that does not exist.
    #[error("there is no backend {name}\nuse onnxruntime, tensorrt or tensorrt-rtx")]
    UnknownBackend {
        /// The name.
        name: String,
    },
    /// A backend that this program was built without.
    #[error("this program was built without the backend {name}\nbuild it with \"--features {feature}\"")]
    BackendLeftOut {
        /// The name.
        name: String,
        /// The feature of cargo that brings it.
        feature: &'static str,
    },
    /// A profile is for a stage that is not built.
    #[error(
        "the profile has ranges for the stage {stage}, which is not built: expected {}\ncorrect the profile",
        list(stages)
    )]
    UnknownProfileStage {
        /// The stage.
        stage: String,
        /// The stages that are built.
        stages: Vec<String>,
    },
    /// A profile names a dimension that its stages do not have.
    #[error(
        "the profile has a range for {dim}, which {}: expected {}\ncorrect the profile",
        stage.as_ref().map_or_else(|| "no stage has".to_owned(), |stage| format!("stage {stage} does not have")), list(dims)
    )]
    UnknownDim {
        /// The dimension.
        dim: String,
        /// The stage that the profile is for; none where it is for all.
        stage: Option<String>,
        /// The dimensions that are there.
        dims: Vec<String>,
    },
    /// An export was lowered for another reader.
    #[error(
        "{} was exported for {target}, which {backend} does not read\n\
         export for every backend: \"egom2p export WEIGHTS --out DIR --target standard\"", exported.display()
    )]
    ExportTarget {
        /// The exported folder.
        exported: PathBuf,
        /// Who it was lowered for.
        target: String,
        /// Name of the backend, with the device where that is what differs.
        backend: String,
    },
    /// An engine that was built elsewhere stands in for none that is built.
    #[error(
        "the engine given for {engine} stands in for none that is built: expected {}\nname one of these",
        list(engines)
    )]
    UnknownAdopted {
        /// Stage and variant that it was given for.
        engine: String,
        /// The engines that are built.
        engines: Vec<String>,
    },
}

impl From<RelativePathError> for BundleError {
    fn from(error: RelativePathError) -> Self {
        EngineError::from(error).into()
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
