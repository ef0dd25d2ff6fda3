use std::{io, path::PathBuf};

/// A picture that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the picture {} cannot be written: {source}\ncheck the folder and its permissions", path.display())]
pub struct PlotError {
    /// Where it was to be.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}
