use crate::{DimError, ParameterError};

/// Why a graph could not be run.
#[derive(Debug, thiserror::Error)]
pub enum InterpretError {
    /// An input that was not fed.
    #[error("{graph}: input {name} is missing\nfeed {expected}")]
    Missing {
        /// The stage.
        graph: String,
        /// The input.
        name: &'static str,
        /// Its type and shape.
        expected: String,
    },
    /// A tensor under a name that the stage does not know.
    #[error("{graph}: no input called {name}\nfeed {known}")]
    Unknown {
        /// The stage.
        graph: String,
        /// The name that was fed.
        name: String,
        /// The names that may be fed.
        known: String,
    },
    /// Two tensors under one name.
    #[error("{graph}: input {name} is fed twice\nfeed it once")]
    Repeated {
        /// The stage.
        graph: String,
        /// The input.
        name: String,
    },
    /// An input of another type or shape.
    #[error("{graph}: input {name}: expected {expected}, got {actual}\nfeed a tensor of that type and shape")]
    Input {
        /// The stage.
        graph: String,
        /// The input.
        name: &'static str,
        /// The type and shape that the stage declares.
        expected: String,
        /// The type and shape that were fed.
        actual: String,
    },
    /// A size that disagrees or that the stage does not allow.
    #[error("{graph}: {error}")]
    Size {
        /// The stage.
        graph: String,
        /// What is wrong with it.
        error: DimError,
    },
    /// A parameter that its source does not have as the graph expects it.
    #[error(transparent)]
    Source(#[from] ParameterError),
    /// A parameter that its source gave with the wrong number of values.
    #[error(
        "parameter {name} of shape {shape:?} came with {n_values} values\nuse weights of the same preset as the graph"
    )]
    Parameter {
        /// The parameter.
        name: String,
        /// The shape that the graph expects.
        shape: Vec<usize>,
        /// The number of values that came.
        n_values: usize,
    },
    /// An id outside its table.
    #[error("{place}: id {id} is not below {rows}\nfeed ids from 0 to {}", rows.saturating_sub(1))]
    Id {
        /// The stage and where in it.
        place: String,
        /// The id.
        id: i64,
        /// The number of rows of the table.
        rows: usize,
    },
    /// Sizes at run time that an operation has no meaning for.
    #[error("{place}: {reason}\nfeed inputs of other sizes")]
    Unsupported {
        /// The stage and where in it.
        place: String,
        /// What does not work out.
        reason: String,
    },
}
