use egom2p_calibration::Precision;

use super::{Difference, Form, Golden, half_agreement, half_tolerance};

/// Holds computed values against one file of published ones: says how far each is, and fails at the end with all that
/// is too far.
///
/// In single precision the tolerances are those that the file states; in `fp16` those of [`half_tolerance`].
pub struct Comparison<'a> {
    golden: &'a Golden,
    precision: Precision,
    failures: Vec<String>,
}

impl<'a> Comparison<'a> {
    /// Nothing compared yet.
    pub fn new(golden: &'a Golden, form: Form) -> Self {
        Self { golden, precision: form.precision(), failures: Vec::new() }
    }

    /// A whole tensor within its stated tolerance.
    pub fn floats(&mut self, name: &str, actual: &[f32]) {
        self.part(name, actual, &self.golden.floats(name));
    }

    /// Part of a tensor, `expected`, within the tolerance stated for the whole.
    pub fn part(&mut self, name: &str, actual: &[f32], expected: &[f32]) {
        let tolerance = if self.is_half() { f64::NAN } else { self.golden.tolerance(name) };
        self.within(name, actual, expected, tolerance);
    }

    /// Values within a tolerance, which counts in single precision.
    pub fn within(&mut self, name: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
        if actual.len() != expected.len() || expected.is_empty() {
            self.fail(format!("{name}: {} values, expected {}", actual.len(), expected.len()));
            return;
        }
        let n_values = actual.len();
        let difference = Difference::of(actual, expected);
        let (text, holds) = if self.is_half() {
            let tolerance = half_tolerance(self.golden.name(), name);
            (format!("{difference} of {tolerance}"), difference.is_within(tolerance))
        } else {
            let largest = difference.largest;
            (format!("largest difference {largest:.2e} of {tolerance:.0e}"), largest <= tolerance)
        };
        self.check(holds, &format!("{name}: {n_values} values, {text}"));
    }

    /// Equal integers.
    pub fn equal(&mut self, name: &str, actual: &[i64]) {
        let expected = self.golden.integers(name);
        let n_equal = n_equal(actual, &expected);
        let holds = n_equal == expected.len() && actual.len() == n_equal;
        self.check(holds, &format!("{name}: {n_equal} of {} equal", expected.len()));
    }

    /// Tokens equal wherever `margin`, the lead of the best choice, exceeds what is tolerated of the tensor `decided_by`.
    pub fn tokens(&mut self, name: &str, actual: &[i64], margin: &[f32], decided_by: &str) {
        self.choices(name, actual, &self.golden.integers(name), margin, self.allowed(decided_by));
    }

    /// Choices equal to the `expected` ones wherever `margin`, the lead of the best one, exceeds `doubt`. Nine in ten must
    /// have such a lead, or in `fp16` as many be equal as [`half_agreement`] says.
    pub fn choices(&mut self, name: &str, actual: &[i64], expected: &[i64], margin: &[f32], doubt: f64) {
        if actual.len() != expected.len() || margin.len() != expected.len() {
            self.fail(format!("{name}: {} tokens and {} margins of {}", actual.len(), margin.len(), expected.len()));
            return;
        }
        let clear: Vec<usize> = (0..expected.len()).filter(|&index| f64::from(margin[index]) > doubt).collect();
        let n_clear_equal = clear.iter().filter(|&&index| actual[index] == expected[index]).count();
        let n_equal = n_equal(actual, expected);
        let enough = if self.is_half() {
            n_equal >= half_agreement(self.golden.name(), name)
        } else {
            clear.len() * 10 >= expected.len() * 9
        };
        let text = format!(
            "{name}: {n_equal} of {} equal, {n_clear_equal} of {} with a margin above {doubt:.0e}",
            expected.len(),
            clear.len()
        );
        self.check(enough && n_clear_equal == clear.len(), &text);
    }

    /// Tokens that follow from many values: equal, or in `fp16` at least as many as [`half_agreement`] says.
    pub fn agreement(&mut self, name: &str, actual: &[i64], expected: &[i64]) {
        let n_equal = n_equal(actual, expected);
        let n_least = if self.is_half() { half_agreement(self.golden.name(), name) } else { expected.len() };
        let text = format!("{name}: {n_equal} of {} equal, at least {n_least}", expected.len());
        self.check(actual.len() == expected.len() && n_equal >= n_least, &text);
    }

    /// Something else that must hold.
    pub fn check(&mut self, holds: bool, text: &str) {
        if holds { self.say(text) } else { self.fail(text.to_owned()) }
    }

    /// Fails if anything did not hold, or if a stored tensor was never looked at that is not compared `elsewhere`.
    ///
    /// # Panics
    /// With everything that did not hold.
    pub fn finish(mut self, elsewhere: impl Fn(&str) -> bool) {
        for name in self.golden.unread().into_iter().filter(|name| !elsewhere(name)) {
            self.fail(format!("{name}: not looked at"));
        }
        assert!(self.failures.is_empty(), "{}:\n{}", self.golden.name(), self.failures.join("\n"));
    }

    /// Whether products were computed in half precision.
    pub fn is_half(&self) -> bool {
        self.precision.dtype().is_half()
    }

    /// How far values of a tensor may be off.
    pub fn allowed(&self, name: &str) -> f64 {
        if !self.is_half() {
            return self.golden.tolerance(name);
        }
        let magnitude = self.golden.floats(name).into_iter().fold(0.0, |largest, value| f32::max(largest, value.abs()));
        half_tolerance(self.golden.name(), name).largest * f64::from(magnitude)
    }

    fn fail(&mut self, text: String) {
        self.say(&format!("FAILED {text}"));
        self.failures.push(text);
    }

    #[expect(clippy::print_stderr, reason = "the measured differences belong to the test's report")]
    fn say(&self, text: &str) {
        eprintln!("{}: {text}", self.golden.name());
    }
}

fn n_equal(actual: &[i64], expected: &[i64]) -> usize {
    actual.iter().zip(expected).filter(|(a, b)| a == b).count()
}
