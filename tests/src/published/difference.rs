use std::fmt;

use super::HalfTolerance;

/// How far values are from expected ones.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The largest difference; infinite where there is a NaN.
    pub largest: f64,
    /// The largest expected magnitude.
    pub magnitude: f64,
    /// The norm of the difference over the norm of the expected values.
    pub relative_norm: f64,
}

impl Difference {
    /// Of values from as many expected ones.
    pub fn of(actual: &[f32], expected: &[f32]) -> Self {
        let (mut largest, mut magnitude, mut squares, mut expected_squares) = (0.0_f64, 0.0_f64, 0.0, 0.0);
        for (&actual, &expected) in actual.iter().zip(expected) {
            let difference = (f64::from(actual) - f64::from(expected)).abs();
            largest = if difference.is_nan() { f64::INFINITY } else { largest.max(difference) };
            magnitude = magnitude.max(f64::from(expected).abs());
            squares += difference * difference;
            expected_squares += f64::from(expected) * f64::from(expected);
        }
        let relative_norm = if squares > 0.0 { (squares / expected_squares).sqrt() } else { squares };
        Self { largest, magnitude, relative_norm }
    }

    /// The largest difference over the largest magnitude.
    pub fn relative_largest(&self) -> f64 {
        if self.largest > 0.0 { self.largest / self.magnitude } else { 0.0 }
    }

    /// The relative differences in units of a tolerance, the larger one: at most 1 where both are within it.
    pub fn share(&self, tolerance: HalfTolerance) -> f64 {
        let shares = [(self.relative_norm, tolerance.norm), (self.relative_largest(), tolerance.largest)];
        // No difference is within any tolerance, also within none.
        let share = |(difference, tolerance)| if difference > 0.0 { difference / tolerance } else { difference };
        shares.map(share).into_iter().fold(0.0, |largest, share| if share >= largest { share } else { largest })
    }

    /// Whether both relative differences are within a tolerance.
    pub fn is_within(&self, tolerance: HalfTolerance) -> bool {
        self.relative_norm <= tolerance.norm && self.relative_largest() <= tolerance.largest
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relative norm {:.1e}, largest {:.1e}", self.relative_norm, self.relative_largest())
    }
}

#[cfg(test)]
mod tests {
    use super::Difference;
    use crate::published::HalfTolerance;

    #[test]
    fn differences_are_relative_to_what_is_expected() {
        let difference = Difference::of(&[3.0, 4.0, 2.0], &[3.0, 4.0, 0.0]);
        assert!((difference.relative_norm - 0.4).abs() < 1e-12 && (difference.relative_largest() - 0.5).abs() < 1e-12);
        assert!(difference.is_within(HalfTolerance { norm: 0.5, largest: 0.5 }));
        assert!(!difference.is_within(HalfTolerance { norm: 0.3, largest: 0.5 }));
        assert!(!difference.is_within(HalfTolerance { norm: 0.5, largest: 0.4 }));
    }

    #[test]
    fn nothing_makes_up_for_nan() {
        let tolerance = HalfTolerance { norm: f64::INFINITY, largest: 1e300 };
        assert!(!Difference::of(&[f32::NAN, 1.0], &[1.0, 1.0]).is_within(tolerance));
        assert!(!Difference::of(&[f32::INFINITY, 1.0], &[1.0, 1.0]).is_within(tolerance));
        assert!(!Difference::of(&[1.0], &[0.0]).is_within(tolerance));
        assert!(Difference::of(&[0.0], &[0.0]).is_within(tolerance));
    }
}
