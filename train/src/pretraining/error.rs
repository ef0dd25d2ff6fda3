use super::SampleName;
use crate::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::distributed::DistributedError;
use crate::{MaskingError, TrainError};
use std::fmt::Display;

/// Samples that a message names before it only counts them.
const NAMED: usize = 8;

/// Settings that no training can go by.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value out of its range.
    #[error("{field}: expected {expected}, got {actual}\ncorrect the settings")]
    Value {
        /// The field, with those that hold it.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        actual: String,
    },
    /// Not the JSON of settings.
    #[error("cannot read the settings: {reason}\nstart from the paper or published preset")]
    Unreadable {
        /// What is wrong.
        reason: String,
    },
    /// A name that no preset has.
    #[error("no pretraining settings are called {name:?}\nuse paper or published")]
    UnknownPreset {
        /// The name that was asked for.
        name: String,
    },
}

/// A pretraining that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PretrainingError {
    /// Settings that no training can go by.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The network or the optimiser failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The stream of samples ended or broke.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The ranks could not train together.
    #[error(transparent)]
    Distributed(#[from] DistributedError),
    /// Passes that are not the same for every rank.
    #[error(
        "the {n_passes} passes of a step cannot be divided over {n_ranks} ranks\nstart a divisor of {n_passes} ranks, or change batch.samples or batch.samples_per_pass"
    )]
    Division {
        /// Passes of a step on all ranks together.
        n_passes: usize,
        /// How many ranks there are.
        n_ranks: usize,
    },
    /// Another rank's part of a step failed, and no parameter has moved. The message is that rank's.
    #[error("rank {rank}: {text}")]
    OtherRank {
        /// The rank.
        rank: usize,
        /// What it said, two lines.
        text: String,
    },
    /// A sample that does not fit the model.
    #[error("sample {sample}: {error}")]
    Sample {
        /// The sample.
        sample: SampleName,
        /// What is wrong.
        error: MaskingError,
    },
    /// Samples whose ids are not those of the model.
    #[error("{}: {error}", named(.samples))]
    Batch {
        /// The samples that went in together.
        samples: Vec<SampleName>,
        /// What is wrong.
        error: TrainError,
    },
    /// A loss or a gradient that is no number. No parameter has moved by it.
    #[error(
        "{what} of step {step} is {value}, with {}\ncheck these samples, or go on from the last checkpoint with a lower learning rate",
        named(.samples)
    )]
    NotFinite {
        /// The loss, or the gradient norm.
        what: &'static str,
        /// The step, counted from 0.
        step: u64,
        /// What it is instead.
        value: f64,
        /// What went in.
        samples: Vec<SampleName>,
    },
    /// A state that this training cannot go on from.
    #[error("the checkpoint's {field} is {stored}, expected {expected}\n{mend}")]
    State {
        /// The part of it.
        field: String,
        /// What is stored, shortened.
        stored: String,
        /// What the training has, shortened.
        expected: String,
        /// What to do.
        mend: &'static str,
    },
    /// A step failed half-way, so that there is no state to store.
    #[error("the last step failed and its samples are used up\ngo on from the last checkpoint")]
    Interrupted,
    /// No sample shows RGB and something to predict from it.
    #[error("no held-out sample has rgb and another modality\ngive validation samples of a dataset that has both")]
    NoTask,
}

impl SettingsError {
    /// Fails where a condition does not hold.
    pub(crate) fn unless(
        holds: bool,
        field: &'static str,
        actual: impl Display,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Value { field, expected, actual: actual.to_string() }) }
    }

    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unreadable { reason: error.to_string() }
    }
}

/// The first names, and how many there are besides.
fn named(samples: &[SampleName]) -> String {
    let what = if samples.len() == 1 { "sample" } else { "samples" };
    let names: Vec<String> = samples.iter().take(NAMED).map(SampleName::to_string).collect();
    let names = names.join(", ");
    match samples.len().saturating_sub(NAMED) {
        0 => format!("{what} {names}"),
        n_more => format!("{what} {names} and {n_more} more"),
    }
}
