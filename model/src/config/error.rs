/// A config that no model can have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is no JSON, or has other fields.
    #[error("the config cannot be read: {reason}\nuse the config.json that came with the weights")]
    Unreadable {
        /// What the parser said, on one line.
        reason: String,
    },
    /// A size is out of bounds or does not fit another one.
    #[error(
        "the config has {field} = {value}, expected {expected}\ncorrect that field, or use the config.json that came with the weights"
    )]
    Value {
        /// The field, or the product of fields, such as `video.height`.
        field: &'static str,
        /// What it is.
        value: usize,
        /// What it may be.
        expected: String,
    },
}

impl ConfigError {
    /// The parser's complaint. It quotes what the file holds, which must not break the line.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unreadable { reason: error.to_string().replace(char::is_control, " ") }
    }
}

/// Fails unless `value` is from 1 to `max`.
pub(super) fn at_most(field: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    expect(field, value, (1..=max).contains(&value), || format!("1 to {max}"))
}

/// Fails unless `value` is a multiple of `divisor`.
pub(super) fn divisible(field: &'static str, value: usize, divisor: usize) -> Result<(), ConfigError> {
    expect(field, value, value.is_multiple_of(divisor), || format!("a multiple of {divisor}"))
}

/// Fails unless `value` is `expected`.
pub(super) fn equal(field: &'static str, value: usize, expected: usize) -> Result<(), ConfigError> {
    expect(field, value, value == expected, || expected.to_string())
}

fn expect(field: &'static str, value: usize, holds: bool, expected: impl Fn() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Value { field, value, expected: expected() }) }
}
