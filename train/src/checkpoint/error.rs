use egom2p_model::weights::WeightsError;
use std::{
    io,
    path::{Path, PathBuf},
};
use tch::TchError;

/// What reading and writing of checkpoints gives.
pub type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// A checkpoint that cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}\nfree some space, or choose a folder that may be written to", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}\ncheck that it exists and may be read", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new checkpoint is whole, and an old one cannot be removed.
    #[error("cannot remove the old checkpoint {}: {source}\nremove it by hand, or check the folder's permissions", path.display())]
    Remove {
        /// The old one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder has a checkpoint of this step or of a later one.
    #[error("{} holds step {newest} and cannot take step {step}\nresume from its newest checkpoint, or choose another folder", folder.display())]
    NotNewest {
        /// The folder.
        folder: PathBuf,
        /// The newest step in it.
        newest: u64,
        /// The step that was to be saved.
        step: u64,
    },
    /// The bytes are not those that were written.
    #[error("checkpoint {} is damaged: {reason}\nremove it to go on from an older one, and check the disk", path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another release wrote it.
    #[error("checkpoint {} has schema {got}, expected {expected}\nuse the release of egom2p-train that wrote it", path.display())]
    Schema {
        /// The checkpoint.
        path: PathBuf,
        /// What it says.
        got: u64,
        /// What this release reads.
        expected: u64,
    },
    /// It belongs to another model.
    #[error("checkpoint {} holds {got}, expected {expected}\nuse the preset and the command that it was trained with", path.display())]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// What it holds.
        got: String,
        /// What is trained.
        expected: String,
    },
    /// A tensor that the model or its optimiser must have is not there.
    #[error("tensor {name} is missing from {holder}\nuse a checkpoint of the same preset and optimiser")]
    Missing {
        /// The tensor.
        name: String,
        /// Where it should be.
        holder: String,
    },
    /// A tensor that neither the model nor its optimiser has.
    #[error("tensor {name} of {holder} is not of this model\nuse a checkpoint of the same preset and optimiser")]
    Unknown {
        /// The tensor.
        name: String,
        /// Where it is.
        holder: String,
    },
    /// A tensor of another shape.
    #[error(
        "shape mismatch for {name} of {holder}: expected {expected:?}, got {got:?}\nuse a checkpoint of the same preset"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Where it is.
        holder: String,
        /// The model's shape.
        expected: Vec<usize>,
        /// The tensor's.
        got: Vec<usize>,
    },
    /// A tensor that does not hold single precision.
    #[error("tensor {name} of {holder} holds {got}, expected f32\nkeep parameters and moments in single precision")]
    Kind {
        /// The tensor.
        name: String,
        /// Where it is.
        holder: String,
        /// Its type.
        got: String,
    },
    /// A state that would not come back as it was.
    #[error(
        "the state of step {step} cannot be stored: {reason}\nkeep it below 16 MiB of JSON, nested at most 100 deep"
    )]
    State {
        /// The step.
        step: u64,
        /// Why.
        reason: String,
    },
    /// The model's graphs cannot be built.
    #[error(transparent)]
    Stage(#[from] egom2p_model::StageError),
    /// The config does not make sense.
    #[error(transparent)]
    Config(#[from] egom2p_model::ConfigError),
    /// A file of tensors cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// libtorch refused to move a tensor.
    #[error("cannot copy tensor {name}: libtorch gives {reason}\ncheck the free memory of the device")]
    Copy {
        /// The tensor.
        name: String,
        /// What it said.
        reason: String,
    },
}

impl CheckpointError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn copy(name: &str) -> impl FnOnce(TchError) -> Self {
        move |error| {
            let text = error.to_string();
            let reason = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("an error without a message");
            Self::Copy { name: name.to_owned(), reason: reason.trim().to_owned() }
        }
    }
}
