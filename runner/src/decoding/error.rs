/// What keeps the host side of decoding from going on.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum DecodingError {
    /// A setting is outside its range.
    #[error("{setting} is {value}, expected {expected}\npass a value in that range")]
    Setting {
        /// The setting as the command line names it.
        setting: &'static str,
        /// What was given.
        value: String,
        /// The range.
        expected: &'static str,
    },
    /// A schedule that cannot be read.
    #[error(
        "unknown temperature schedule \"{text}\"\nuse \"constant\", \"linear\" or \"onex:MIN:POWER\", for example \"onex:0.1:0.5\""
    )]
    UnknownTemperatureSchedule {
        /// What was given.
        text: String,
    },
    /// The number of logits is not a multiple of the vocabulary.
    #[error("{n_values} logits do not fill rows of {n_vocabulary}\npass logits of shape [queries, {n_vocabulary}]")]
    LogitsShape {
        /// Number of values given.
        n_values: usize,
        /// Entries per row.
        n_vocabulary: usize,
    },
    /// The two passes of guidance gave different sizes.
    #[error(
        "guidance mixes {n_conditional} conditional with {n_unconditional} unconditional values\npass the outputs of both passes for the same queries"
    )]
    GuidanceShape {
        /// Values of the conditional pass.
        n_conditional: usize,
        /// Values of the unconditional pass.
        n_unconditional: usize,
    },
    /// A logit is NaN.
    #[error("the logits of query {row} contain NaN\ncheck the weights, or build the engines with a wider precision")]
    NanLogit {
        /// Row of the call's logits.
        row: usize,
    },
    /// A logit is positive infinity.
    #[error(
        "the logits of query {row} contain infinity\ncheck the weights, or build the engines with a wider precision"
    )]
    InfiniteLogit {
        /// Row of the call's logits.
        row: usize,
    },
    /// Every logit of a row is negative infinity.
    #[error(
        "every logit of query {row} is negative infinity\ncheck the weights, or build the engines with a wider precision"
    )]
    NoFiniteLogit {
        /// Row of the call's logits.
        row: usize,
    },
}
