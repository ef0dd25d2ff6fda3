//! Sizes as people type them.

use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size(pub(super) u64);

impl FromStr for Size {
    type Err = String;

    /// Reads `60MB` or `1GiB`; a number without a unit is of bytes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("{text:?} is no size: expected a whole number above 0 with B, kB, MB, GB, KiB, MiB or GiB");
        let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit_bytes: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(wrong()),
        };
        let n_bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_bytes));
        n_bytes.filter(|n_bytes| *n_bytes > 0).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_have_units() {
        for (text, n_bytes) in [("60MB", 60_000_000), ("1 GiB", 1 << 30), ("5kb", 5_000), ("7", 7), ("8B", 8)] {
            assert_eq!(text.parse(), Ok(Size(n_bytes)), "{text}");
        }
        for text in ["", "MB", "0", "-1MB", "1.5GB", "60XB", "99999999999GB"] {
            text.parse::<Size>().expect_err(text);
        }
    }
}
