use egom2p_graph::{DimError, ParameterError};
use egom2p_torch_native::NativeError;

/// What a run gives.
pub type Result<T, E = TorchError> = std::result::Result<T, E>;

/// A graph that could not be run. The text has two lines: what, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// An input that was not fed.
    #[error("{graph}: input {name} is missing\nfeed {expected}")]
    Missing {
        /// The graph.
        graph: String,
        /// The input.
        name: &'static str,
        /// What it should be.
        expected: String,
    },
    /// A tensor under a name that the graph does not know.
    #[error("{graph}: no input called {name}\nfeed {known}")]
    Unknown {
        /// The graph.
        graph: String,
        /// What was fed.
        name: String,
        /// What there is.
        known: String,
    },
    /// Two tensors for one input.
    #[error("{graph}: input {name} is fed twice\nfeed it once")]
    Repeated {
        /// The graph.
        graph: String,
        /// The input.
        name: String,
    },
    /// An input of another type or shape, or on another device.
    #[error(
        "{graph}: input {name}: expected {expected}, got {actual}\nfeed a tensor of that type and shape, on that device"
    )]
    Input {
        /// The graph.
        graph: String,
        /// The input.
        name: &'static str,
        /// What it should be, and where.
        expected: String,
        /// What it is, and where.
        actual: String,
    },
    /// Named dimensions that do not fit.
    #[error("{graph}: {error}")]
    Size {
        /// The graph.
        graph: String,
        /// What is wrong.
        error: DimError,
    },
    /// A parameter that cannot be had.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// libtorch refused an operation.
    #[error("{place}: {reason}\nuse ids and sizes that the operation allows, and check the free memory")]
    Torch {
        /// Graph, scope and operation.
        place: String,
        /// The first line of what it said.
        reason: String,
    },
    /// A block could not be checkpointed.
    #[error(transparent)]
    Native(#[from] NativeError),
}

impl TorchError {
    /// What libtorch said at a place.
    pub(crate) fn at(place: &str) -> impl FnOnce(tch::TchError) -> Self {
        move |error| {
            let text = match error {
                tch::TchError::Torch(text) => text,
                other => other.to_string(),
            };
            let said = text.lines().map(str::trim).find(|line| !line.is_empty());
            let reason = said.unwrap_or("an error without a message").trim_end_matches('.');
            Self::Torch { place: place.to_owned(), reason: reason.to_owned() }
        }
    }
}
