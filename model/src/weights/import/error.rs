use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::weights::{CheckpointError, WeightsError, WeightsPart};

/// Why a checkpoint was not imported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The weights file cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The folder for the weights cannot be made.
    #[error("cannot create the folder {}: {source}\nchoose a folder that may be written to", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The checkpoint is another part's.
    #[error("{} is a checkpoint of {found}, expected {expected}\npass it with {}", path.display(), found.import_flag())]
    OtherPart {
        /// The file.
        path: PathBuf,
        /// What it was given as.
        expected: WeightsPart,
        /// What its tensors say it is.
        found: WeightsPart,
    },
    /// One tensor has another shape than the preset gives it.
    #[error("shape mismatch for {name}: expected {expected:?}, got {got:?}{others}\nchoose the preset that {} was trained with", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The preset's shape.
        expected: Vec<usize>,
        /// The checkpoint's shape.
        got: Vec<usize>,
        /// How many more tensors are wrong, as text that ends the line; empty when there are none.
        others: String,
    },
    /// Tensors are missing or unexpected.
    #[error("{} does not fit the preset: {difference}\nchoose the preset that the checkpoint was trained with", path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// What is missing, what is unexpected.
        difference: String,
    },
    /// Two names that the model shares have different values.
    #[error("tensor {alias} of {} differs from {name}, which it must repeat\nuse a checkpoint as the published training code saves it", path.display())]
    Alias {
        /// The file.
        path: PathBuf,
        /// The repeated name.
        alias: String,
        /// The canonical name.
        name: String,
    },
    /// A bias that the model does not have is in use.
    #[error("tensor {name} of {} must be zero, but value {index} is {value}\nuse a checkpoint of the published architecture, whose norms have no bias", path.display())]
    Bias {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first value that is not zero.
        index: usize,
        /// That value.
        value: f32,
    },
    /// A weight is infinite or not a number.
    #[error("tensor {name} of {} is not finite: value {index} is {value}\nuse a checkpoint from before training diverged", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first value that is not finite.
        index: usize,
        /// That value.
        value: f32,
    },
    /// Two archives have the same tensor.
    #[error(
        "both video tokenizer archives have {name}, expected an encoder and a decoder\npass encoder.jit with --video-encoder and decoder.jit with --video-decoder"
    )]
    Overlap {
        /// The tensor.
        name: String,
    },
    /// No checkpoint was given.
    #[error("no archive of {part} was given\npass it with {}", part.import_flag())]
    NoSource {
        /// The part.
        part: WeightsPart,
    },
    /// The caller asked to stop.
    #[error("the import of {part} was interrupted\nrun it again: nothing of it was kept")]
    Interrupted {
        /// The part.
        part: WeightsPart,
    },
}
