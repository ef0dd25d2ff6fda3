use egom2p_torch_native::NativeError;
use tch::TchError;

/// What training by several processes gives.
pub type Result<T, E = DistributedError> = std::result::Result<T, E>;

/// Processes that could not train together.
#[derive(Debug, thiserror::Error)]
pub enum DistributedError {
    /// Some variables of a launcher are there and another is not.
    #[error("{variable} is missing although {present} is there\n{mend}")]
    Missing {
        /// What is missing.
        variable: &'static str,
        /// What says that there are several processes.
        present: &'static str,
        /// What to do.
        mend: &'static str,
    },
    /// A variable of a launcher with a value that it cannot have.
    #[error(
        "{variable} is {value:?}, expected {expected}\nlet torchrun or srun set the variable, or unset all of them to train in one process"
    )]
    Value {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: String,
    },
    /// Another rank ended, or did not answer in time.
    #[error(
        "{action}: another rank is lost: {reason}\nlook for the rank that ended first and what it printed, then start all ranks again with --resume"
    )]
    LostRank {
        /// What was to be done.
        action: &'static str,
        /// What libtorch said.
        reason: String,
    },
    /// Ranks that were not started alike.
    #[error("rank {rank} has another {what} than rank 0\nstart all ranks with the same release, arguments and files")]
    Disagreement {
        /// The first rank that differs.
        rank: usize,
        /// What differs.
        what: &'static str,
    },
    /// libtorch or its distributed engine failed.
    #[error(transparent)]
    Native(NativeError),
    /// libtorch refused an operation.
    #[error("{action}: libtorch gives {reason}\ncheck the free memory")]
    Operation {
        /// What was to be done.
        action: &'static str,
        /// What it said.
        reason: String,
    },
}

impl From<NativeError> for DistributedError {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::LostRank { action, reason } => Self::LostRank { action, reason },
            other => Self::Native(other),
        }
    }
}

impl DistributedError {
    pub(super) fn operation(action: &'static str) -> impl FnOnce(TchError) -> Self {
        move |error| {
            let text = error.to_string();
            let reason = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("an error without a message");
            Self::Operation { action, reason: reason.trim().to_owned() }
        }
    }
}
