use crate::TrainError;
use egom2p_torch::TorchError;

/// What training of a tokenizer gives.
pub type Result<T, E = TokenizerError> = std::result::Result<T, E>;

/// A tokenizer that could not be made, run or trained.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The halves cannot be built.
    #[error(transparent)]
    Stage(#[from] egom2p_model::StageError),
    /// A half could not be run.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A parameter or buffer cannot be had.
    #[error(transparent)]
    Parameter(#[from] egom2p_graph::ParameterError),
    /// The optimiser or an operation outside of the graphs failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Other processes could not be reached; the message follows the two-line rule by itself.
    #[error(transparent)]
    Peers(Box<dyn std::error::Error + Send + Sync>),
    /// A modality of another kind of tokenizer.
    #[error("{modality} has no {expected} tokenizer\nuse {use_instead}")]
    Modality {
        /// The modality.
        modality: &'static str,
        /// The kind of tokenizer: motion or video.
        expected: &'static str,
        /// Modalities that have one.
        use_instead: &'static str,
    },
    /// A setting that cannot be trained with.
    #[error("{name} is {value}, expected {expected}\nchange the setting")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A tensor that does not belong into the quantiser or the metric that it was given to.
    #[error("{what}: expected {expected}, got {actual:?}\nfeed tensors of that shape")]
    Shape {
        /// What was given.
        what: &'static str,
        /// Its shape in words.
        expected: String,
        /// The shape that it has.
        actual: Vec<i64>,
    },
    /// Replacements of dead codes that are not rows of the batch.
    #[error(
        "{n_dead} dead codes are to be replaced by rows of {n_latents} latents, but row {got:?} was chosen\nchoose one row for each dead code"
    )]
    Rows {
        /// Codes to replace.
        n_dead: usize,
        /// Latents on all ranks.
        n_latents: usize,
        /// The row outside; `None` where the number of rows is wrong.
        got: Option<usize>,
    },
    /// A loss that is infinite or not a number. Nothing has moved.
    #[error(
        "the loss is {value} at step {step}\nlook for clips with values that are not finite, or use a lower learning rate; nothing was changed by this step"
    )]
    Loss {
        /// The step.
        step: u64,
        /// The loss.
        value: f64,
    },
    /// Gradients that are infinite or not numbers. Nothing has moved.
    #[error("the gradient norm is {value} at step {step}\nuse a lower learning rate; nothing was changed by this step")]
    Gradient {
        /// The step.
        step: u64,
        /// The norm.
        value: f64,
    },
    /// A stored tensor that does not fit.
    #[error("the stored state has {problem}: {name}\nuse a checkpoint of this tokenizer and preset")]
    State {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl TokenizerError {
    /// What libtorch said to an operation.
    pub(super) fn operation(action: &'static str) -> impl FnOnce(tch::TchError) -> Self {
        move |error| TrainError::operation(action)(error).into()
    }
    /// Only camera and gaze have a motion tokenizer.
    pub(super) fn not_motion(modality: egom2p_model::Modality) -> Self {
        Self::Modality { modality: modality.name(), expected: "motion", use_instead: "camera or gaze" }
    }
}
