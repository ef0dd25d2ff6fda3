use serde_json::{Value, json};

use super::{sample::Difference, tolerances::Limit};
use crate::table::Table;

/// One thing that was checked.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) value: Observed,
    pub(super) limit: Limit,
    /// Whether the value is within the limit; `None` where nothing is asked or nothing was looked at.
    pub(super) passed: Option<bool>,
}

/// What was seen.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Observed {
    Difference(Difference),
    /// So many of so many are equal; of those that are not, so many are in doubt.
    Equal {
        n_equal: usize,
        n: usize,
        n_in_doubt: usize,
    },
    /// Why there is no value.
    Nothing(String),
}

impl Check {
    /// Something that was not looked at.
    pub(super) fn left_out(name: String, why: &str) -> Self {
        Self { name, value: Observed::Nothing(format!("not checked: {why}")), limit: Limit::Measured, passed: None }
    }

    /// Something that failed before there was a value.
    pub(super) fn failed(name: String, why: &str) -> Self {
        Self { name, value: Observed::Nothing(why.to_owned()), limit: Limit::Measured, passed: Some(false) }
    }

    /// Floats within a limit.
    pub(super) fn floats(name: String, difference: Difference, limit: Limit) -> Self {
        let passed = match limit {
            Limit::Floats { norm, largest } => Some(difference.norm <= norm && difference.largest <= largest),
            Limit::Agreement(_) => Some(false),
            Limit::Measured => None,
        };
        Self { name, value: Observed::Difference(difference), limit, passed }
    }

    /// Equal integers.
    pub(super) fn equal(name: String, actual: &[i64], expected: &[i64], limit: Limit) -> Self {
        Self::equal_but(name, actual, expected, limit, |_| false)
    }

    /// Equal integers, where those in doubt may be anything.
    pub(super) fn equal_but(
        name: String,
        actual: &[i64],
        expected: &[i64],
        limit: Limit,
        in_doubt: impl Fn(usize) -> bool,
    ) -> Self {
        if actual.len() != expected.len() {
            return Self::failed(name, &format!("{} values, expected {}", actual.len(), expected.len()));
        }
        let n = expected.len();
        let different: Vec<usize> = (0..n).filter(|&at| actual[at] != expected[at]).collect();
        let n_in_doubt = different.iter().filter(|&&at| in_doubt(at)).count();
        let n_wrong = different.len() - n_in_doubt;
        let passed = match limit {
            Limit::Agreement(share) => Some(n_wrong <= n_may_differ(n, share)),
            Limit::Floats { .. } => Some(false),
            Limit::Measured => None,
        };
        Self { name, value: Observed::Equal { n_equal: n - different.len(), n, n_in_doubt }, limit, passed }
    }

    /// Whether anything was looked at.
    pub(super) fn was_made(&self) -> bool {
        self.passed.is_some() || !matches!(self.value, Observed::Nothing(_))
    }

    /// Whether integers were compared and none differs.
    pub(super) fn all_equal(&self) -> bool {
        matches!(self.value, Observed::Equal { n_equal, n, .. } if n_equal == n)
    }

    /// The table's row: what, value, limit, verdict.
    fn row(&self) -> Vec<String> {
        let value = match &self.value {
            Observed::Difference(difference) => {
                format!("norm {:.1e}, largest {:.1e}", difference.norm, difference.largest)
            }
            Observed::Equal { n_equal, n, n_in_doubt: 0 } => format!("{n_equal} of {n} equal"),
            Observed::Equal { n_equal, n, n_in_doubt } => format!("{n_equal} of {n} equal, {n_in_doubt} in doubt"),
            Observed::Nothing(why) => why.clone(),
        };
        let limit = match (self.limit, &self.value) {
            (Limit::Floats { norm, largest }, _) => format!("{norm:.1e}, {largest:.1e}"),
            (Limit::Agreement(share), Observed::Equal { n, .. }) => format!("{}", n - n_may_differ(*n, share)),
            (Limit::Agreement(share), _) => format!("{share}"),
            (Limit::Measured, _) => "-".to_owned(),
        };
        let ok = match self.passed {
            Some(true) => "ok",
            Some(false) => "FAIL",
            None => "-",
        };
        vec![self.name.clone(), value, limit, ok.to_owned()]
    }

    fn json(&self) -> Value {
        let limit = match self.limit {
            Limit::Floats { norm, largest } => json!({ "norm": norm, "largest": largest }),
            Limit::Agreement(share) => json!({ "share": share }),
            Limit::Measured => Value::Null,
        };
        let mut value = match &self.value {
            // JSON has no infinity: such a difference is no number.
            Observed::Difference(difference) => json!({ "norm": difference.norm, "largest": difference.largest }),
            Observed::Equal { n_equal, n, n_in_doubt } => {
                json!({ "equal": n_equal, "of": n, "in_doubt": n_in_doubt })
            }
            Observed::Nothing(why) => json!({ "nothing": why }),
        };
        if let Value::Object(fields) = &mut value {
            fields.insert("check".to_owned(), json!(self.name));
            fields.insert("limit".to_owned(), limit);
            fields.insert("passed".to_owned(), json!(self.passed));
        }
        value
    }
}

/// How many of `n` may differ where this share is to be equal: a part of one counts as one, but never all may.
fn n_may_differ(n: usize, share: f64) -> usize {
    let n_may = (n as f64 * (1.0 - share)).ceil() as usize;
    n_may.min(n.saturating_sub(1))
}

/// The table of all checks.
pub(super) fn table(checks: &[Check]) -> Table {
    Table { columns: &["check", "value", "limit", "ok"], rows: checks.iter().map(Check::row).collect() }
}

pub(super) fn to_json(checks: &[Check]) -> Value {
    checks.iter().map(Check::json).collect()
}

#[cfg(test)]
mod tests {
    use super::Check;
    use crate::commands::gpu_check::{sample::Difference, tolerances::Limit};

    #[test]
    fn a_share_of_one_allows_nothing_and_less_allows_one() {
        let equal = |share| Check::equal(String::new(), &[1, 2, 3], &[1, 2, 4], Limit::Agreement(share)).passed;
        assert_eq!((equal(1.0), equal(0.999), equal(0.5)), (Some(false), Some(true), Some(true)));
        let two = Check::equal(String::new(), &[1, 5, 3], &[1, 2, 4], Limit::Agreement(0.999));
        assert_eq!(two.passed, Some(false));
        assert_eq!(Check::equal(String::new(), &[1], &[2], Limit::Agreement(0.5)).passed, Some(false));
        assert_eq!(Check::equal(String::new(), &[1], &[1, 2], Limit::Agreement(0.0)).passed, Some(false));
    }

    #[test]
    fn doubt_excuses_only_what_is_in_doubt() {
        let check = |doubtful| {
            Check::equal_but(String::new(), &[1, 2], &[1, 3], Limit::Agreement(1.0), |at| at == doubtful).passed
        };
        assert_eq!((check(1), check(0)), (Some(true), Some(false)));
    }

    #[test]
    fn both_parts_of_a_difference_count() {
        let limit = Limit::Floats { norm: 0.1, largest: 0.2 };
        let passed = |norm, largest| Check::floats(String::new(), Difference { norm, largest }, limit).passed;
        assert_eq!((passed(0.1, 0.2), passed(0.11, 0.2), passed(0.1, 0.21)), (Some(true), Some(false), Some(false)));
        assert_eq!(passed(f64::NAN, 0.0), Some(false));
        let measured = Check::floats(String::new(), Difference { norm: 9.0, largest: 9.0 }, Limit::Measured);
        assert_eq!(measured.passed, None);
    }
}
