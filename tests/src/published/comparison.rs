use super::Golden;

/// Holds computed values against one file of published ones: says how far each is, and fails at the end with all that
/// is too far.
pub struct Comparison<'a> {
    golden: &'a Golden,
    failures: Vec<String>,
}

impl<'a> Comparison<'a> {
    /// Nothing compared yet.
    pub fn new(golden: &'a Golden) -> Self {
        Self { golden, failures: Vec::new() }
    }

    /// A whole tensor within its stated tolerance.
    pub fn floats(&mut self, name: &str, actual: &[f32]) {
        self.part(name, actual, &self.golden.floats(name));
    }

    /// Part of a tensor, `expected`, within the tolerance stated for the whole.
    pub fn part(&mut self, name: &str, actual: &[f32], expected: &[f32]) {
        self.within(name, actual, expected, self.golden.tolerance(name));
    }

    /// Values within a tolerance.
    pub fn within(&mut self, name: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
        if actual.len() != expected.len() || expected.is_empty() {
            self.fail(format!("{name}: {} values, expected {}", actual.len(), expected.len()));
            return;
        }
        let differences = actual.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
        let largest = differences.fold(0.0, |largest, d| if d.is_nan() { f64::INFINITY } else { f64::max(largest, d) });
        let text = format!("{name}: {} values, largest difference {largest:.2e} of {tolerance:.0e}", actual.len());
        if largest <= tolerance { self.say(&text) } else { self.fail(text) }
    }

    /// Equal integers.
    pub fn equal(&mut self, name: &str, actual: &[i64]) {
        let expected = self.golden.integers(name);
        let n_equal = actual.iter().zip(&expected).filter(|(a, b)| a == b).count();
        let text = format!("{name}: {n_equal} of {} equal", expected.len());
        if n_equal == expected.len() && actual.len() == n_equal { self.say(&text) } else { self.fail(text) }
    }

    /// Tokens equal wherever `margin`, the lead of the best choice, exceeds `tolerance`; that must hold of at least
    /// nine in ten.
    pub fn tokens(&mut self, name: &str, actual: &[i64], margin: &[f32], tolerance: f64) {
        let expected = self.golden.integers(name);
        if actual.len() != expected.len() || margin.len() != expected.len() {
            self.fail(format!("{name}: {} tokens and {} margins of {}", actual.len(), margin.len(), expected.len()));
            return;
        }
        let is_equal = |index: &usize| actual[*index] == expected[*index];
        let clear: Vec<usize> = (0..expected.len()).filter(|&index| f64::from(margin[index]) > tolerance).collect();
        let n_clear_equal = clear.iter().filter(|index| is_equal(index)).count();
        let n_equal = (0..expected.len()).filter(is_equal).count();
        let text = format!(
            "{name}: {n_equal} of {} equal, {n_clear_equal} of {} with a margin above {tolerance:.0e}",
            expected.len(),
            clear.len()
        );
        let holds = n_clear_equal == clear.len() && clear.len() * 10 >= expected.len() * 9;
        if holds { self.say(&text) } else { self.fail(text) }
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

    fn fail(&mut self, text: String) {
        self.say(&format!("FAILED {text}"));
        self.failures.push(text);
    }

    #[expect(clippy::print_stderr, reason = "the measured differences belong to the test's report")]
    fn say(&self, text: &str) {
        eprintln!("{}: {text}", self.golden.name());
    }
}
