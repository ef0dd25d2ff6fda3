use egom2p_plot::PlotError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What reading and writing of metrics gives.
pub type Result<T, E = MetricsError> = std::result::Result<T, E>;

/// Metrics that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}\nfree some space, or choose a folder that may be written to", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}\ncheck that it exists and may be read", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A new training would go on writing another's metrics.
    #[error("{} is there already\nresume that training, or choose another folder", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A line that is not the values of a step.
    #[error("line {line} of {} is not the metrics of a step: {reason}\nremove the line, or the file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A value with the name of a line's own fields.
    #[error("a value cannot be called {name:?}\nname it after what it measures")]
    Name {
        /// Its name.
        name: String,
    },
    /// The picture cannot be written.
    #[error(transparent)]
    Picture(#[from] PlotError),
}

impl MetricsError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}
