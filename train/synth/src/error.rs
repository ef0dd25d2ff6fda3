use std::io;
use std::path::{Path, PathBuf};

/// What synthesis gives.
pub type Result<T, E = SynthError> = std::result::Result<T, E>;

/// Synthetic data that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A setting is outside of its range.
    #[error("setting {name} is {got}, expected {expected}\nchange it in the settings")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        got: String,
        /// What it may be.
        expected: String,
    },
    /// The clip or dataset does not exist.
    #[error(
        "{what} {index} does not exist, there are {count}\nuse an index below that, or more of them in the settings"
    )]
    Index {
        /// A dataset or a clip.
        what: &'static str,
        /// What was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}\nchoose a folder that can be written and has room", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder holds something else.
    #[error("{} holds {found}\nchoose an empty folder, or use the settings that it was made with", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The caller's progress function asked to stop.
    #[error("stopped after {done} of {total} clips\nrun again with the same settings: whole clips are kept")]
    Stopped {
        /// Clips that are whole.
        done: usize,
        /// Clips that were wanted.
        total: usize,
    },
}

impl SynthError {
    pub(crate) fn setting(name: &'static str, got: String, expected: String) -> Self {
        Self::Setting { name, got, expected }
    }

    /// What the system said to writing a path.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}
