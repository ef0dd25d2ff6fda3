use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a checkpoint is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}\ncheck that the file exists and may be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no archive, or not a whole one.
    #[error("{} is not a PyTorch checkpoint, or is cut off: {reason}\ndownload the file again and compare its size with the published one", path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has the layout that PyTorch wrote before version 1.6.
    #[error("{} has the layout of PyTorch before 1.6, expected a zip archive\nload it with a newer PyTorch and save it again with torch.save", path.display())]
    OldLayout {
        /// The file.
        path: PathBuf,
    },
    /// The file was written on a big-endian machine.
    #[error("{} was saved on a big-endian machine, expected little-endian values\nload it with PyTorch on a little-endian machine and save it again", path.display())]
    ByteOrder {
        /// The file.
        path: PathBuf,
    },
    /// One entry of the archive is missing or damaged.
    #[error("entry {entry} of {} is damaged: {reason}\ndownload the file again and compare its size with the published one", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The archive entry, without the archive's root folder.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file names code that loading it with Python would run.
    #[error("{} tries to run code when it is loaded: it calls for {global}\ndo not load this file with other software either; get the checkpoint from its publisher", path.display())]
    RunsCode {
        /// The file.
        path: PathBuf,
        /// The global, as `module.name`.
        global: String,
    },
    /// There is no state dict where one should be.
    #[error("{} holds no model state dict: {found}\nuse a checkpoint with the state dict under \"model\", as the published training code saves it", path.display())]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// One tensor cannot be used.
    #[error("tensor {name} of {} cannot be read: {reason}\nuse a checkpoint as the published training code saves it", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
