use egom2p_torch::TorchError;

/// What training gives.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// Training that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The stage graphs cannot be built.
    #[error(transparent)]
    Stage(#[from] egom2p_model::StageError),
    /// The precision cannot be had.
    #[error(transparent)]
    Precision(#[from] egom2p_graph::BuildError),
    /// A graph could not be run.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The shim over libtorch failed.
    #[error(transparent)]
    Native(#[from] egom2p_torch_native::NativeError),
    /// libtorch refused an operation outside of the graphs.
    #[error("{action}: libtorch gives {reason}\ncheck the free memory, or use a smaller batch")]
    Operation {
        /// What was to be done.
        action: &'static str,
        /// What it said.
        reason: String,
    },
    /// Gradients that no step can follow.
    #[error("the norm of all gradients is {norm}\nlower the learning rate, or look at the samples of this step")]
    NotFinite {
        /// The norm.
        norm: f64,
    },
    /// A token that is not in the vocabulary, or a position that is not in the clip.
    #[error("{modality} {what} {got} is outside of 0 to {limit}\nuse tokens of this preset's tokenizer")]
    Range {
        /// The modality.
        modality: &'static str,
        /// Token or position.
        what: &'static str,
        /// What was given.
        got: i64,
        /// One more than the largest.
        limit: usize,
    },
}

impl TrainError {
    /// What libtorch said to an operation.
    pub(crate) fn operation(action: &'static str) -> impl FnOnce(tch::TchError) -> Self {
        move |error| {
            let text = error.to_string();
            let reason = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("an error without a message");
            Self::Operation { action, reason: reason.trim().to_owned() }
        }
    }
}
