/// Values that cannot be compared.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum EvaluationError {
    /// Another number of values than the clip has.
    #[error("{what} has {got} values, expected {expected}\nevaluate with the model that the clips were made for")]
    Length {
        /// What was compared.
        what: &'static str,
        /// Its values.
        got: usize,
        /// The clip's.
        expected: usize,
    },
    /// A depth that is none.
    #[error("a depth is {metres} m\ndepth must be finite and above 0; leave such clips out")]
    Depth {
        /// The first that is wrong.
        metres: f64,
    },
    /// A range that is none.
    #[error("the range of inverse depths is {low} to {high} 1/m\nit must be finite, above 0 and ascending")]
    Range {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// A prediction that is not a number.
    #[error("{what} is not a number\nlook at the weights: they may be those of a training that diverged")]
    NotFinite {
        /// What was compared.
        what: &'static str,
    },
}

/// Fails unless there are as many finite values as expected.
pub(super) fn check(what: &'static str, values: &[f32], expected: usize) -> Result<(), EvaluationError> {
    if values.len() != expected {
        return Err(EvaluationError::Length { what, got: values.len(), expected });
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(EvaluationError::NotFinite { what });
    }
    Ok(())
}
