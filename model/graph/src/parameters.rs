/// Where a graph's parameters come from: a weights file, a rule, a map in memory.
pub trait Parameters {
    /// The values of the parameter called `name`, row-major.
    ///
    /// `shape` is what the graph expects; an implementation fails when it has another.
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError>;
}

/// A parameter that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// No parameter of this name.
    #[error("no parameter called {name}\nuse weights of the same preset as the graph")]
    Missing {
        /// The name asked for.
        name: String,
    },
    /// The parameter has another shape than the graph expects.
    #[error(
        "shape mismatch for {name}: expected {expected:?}, got {actual:?}\nuse weights of the same preset as the graph"
    )]
    Shape {
        /// The name asked for.
        name: String,
        /// What the graph expects.
        expected: Vec<usize>,
        /// What the source has.
        actual: Vec<usize>,
    },
    /// The source failed; its message follows the two-line rule by itself.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
}
