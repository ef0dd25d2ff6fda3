use egom2p_motion::MotionError;

/// A recording that could not be prepared. The text has two lines: what, and how to mend it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum PreparationError {
    /// Settings that say nothing sensible.
    #[error("{field} is {value}, expected {expected}\ncorrect it in the settings of the preparation")]
    Setting {
        /// The setting, with the dataset where it has one.
        field: String,
        /// Its value.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// A dataset of which nothing is known.
    #[error(
        "no dataset is called {name}\nuse one of {known}, or add its convention to the settings of the preparation"
    )]
    Dataset {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A dataset without a modality.
    #[error(
        "dataset {dataset} has no {modality}\nadd its convention to the settings of the preparation, or leave it out"
    )]
    Absent {
        /// The dataset.
        dataset: String,
        /// The modality.
        modality: &'static str,
    },
    /// A recording of another length.
    #[error(
        "{recording} has {n_frames} frames, expected {expected}\ncut recordings into clips of {expected} frames first"
    )]
    Length {
        /// The recording.
        recording: String,
        /// Its length.
        n_frames: usize,
        /// The length that is asked for.
        expected: usize,
    },
    /// A recording that cannot be converted.
    #[error("{recording}: {error}")]
    Motion {
        /// The recording, or its dataset.
        recording: String,
        /// What is wrong with it; its frame counts from the recording's first.
        error: MotionError,
    },
}
