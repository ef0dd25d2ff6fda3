use super::error::{EvaluationError, check};

/// Depths whose ratio is below this count as right (the usual first threshold).
const DELTA: f64 = 1.25;

/// The depth of a clip.
#[derive(Clone, PartialEq, Debug)]
pub struct DepthTruth {
    metres: Vec<f64>,
    low: f64,
    high: f64,
}

/// How far a depth video is from the truth, over all pixels of a clip.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DepthErrors {
    /// Mean of `|d - d*| / d*`, with `d` by the clip's range.
    pub abs_rel: f64,
    /// Root of the mean of `(d - d*)^2`, in metres.
    pub rmse_metres: f64,
    /// Share of the pixels with `max(d / d*, d* / d) < 1.25`.
    pub delta1: f64,
    /// Mean of `|d - d*| / d*` after the scale and the shift that bring inverse depth closest to the true one by least
    /// squares; `d` is at most the clip's greatest depth.
    pub aligned_abs_rel: f64,
}

impl DepthTruth {
    /// Depths in metres `[frames, height, width]` and the inverse depths in 1/m that a depth video's values 0 and 1 stand
    /// for. Fails where one is not finite and above 0.
    pub fn new(metres: Vec<f64>, [low, high]: [f64; 2]) -> Result<Self, EvaluationError> {
        if let Some(&metres) = metres.iter().find(|metres| !(metres.is_finite() && **metres > 0.0)) {
            return Err(EvaluationError::Depth { metres });
        }
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return Err(EvaluationError::Range { low, high });
        }
        Ok(Self { metres, low, high })
    }

    /// The errors of a depth video `[frames, height, width]` with values in `[0, 1]`, near is large. Fails for another
    /// number of values, and for values that are not finite.
    pub fn errors(&self, values: &[f32]) -> Result<DepthErrors, EvaluationError> {
        check("a depth video", values, self.metres.len())?;
        let n = self.metres.len().max(1) as f64;
        let (scale, shift) = self.alignment(values);
        let (mut relative, mut squared, mut right, mut aligned) = (0.0, 0.0, 0.0, 0.0);
        for (&value, &metres) in values.iter().zip(&self.metres) {
            let value = f64::from(value);
            let predicted = (self.low + value.clamp(0.0, 1.0) * (self.high - self.low)).recip();
            relative += (predicted - metres).abs() / metres;
            squared += (predicted - metres).powi(2);
            right += f64::from(u8::from((predicted / metres).max(metres / predicted) < DELTA));
            let predicted = (scale * value + shift).max(self.low).recip();
            aligned += (predicted - metres).abs() / metres;
        }
        Ok(DepthErrors {
            abs_rel: relative / n,
            rmse_metres: (squared / n).sqrt(),
            delta1: right / n,
            aligned_abs_rel: aligned / n,
        })
    }

    /// The scale and the shift that bring values closest to the true inverse depths by least squares. Values that are all
    /// the same have no scale.
    fn alignment(&self, values: &[f32]) -> (f64, f64) {
        let n = self.metres.len().max(1) as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let mean_inverse = self.metres.iter().map(|metres| metres.recip()).sum::<f64>() / n;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (&value, metres) in values.iter().zip(&self.metres) {
            let centred = f64::from(value) - mean;
            covariance += centred * (metres.recip() - mean_inverse);
            variance += centred * centred;
        }
        // Below the rounding of single precision, what differs is noise.
        let scale = if variance > n * f64::from(f32::EPSILON).powi(2) { covariance / variance } else { 0.0 };
        (scale, mean_inverse - scale * mean)
    }
}

#[cfg(test)]
mod tests {
    use super::{DepthTruth, EvaluationError};

    const RANGE: [f64; 2] = [0.25, 2.0];

    fn truth() -> DepthTruth {
        DepthTruth::new(vec![0.5, 1.0, 2.0, 4.0], RANGE).expect("a clip")
    }

    #[test]
    fn the_truth_has_no_error() {
        let values = [1.0, 0.75 / 1.75, 0.25 / 1.75, 0.0];
        let errors = truth().errors(&values).expect("four values");
        assert!(errors.abs_rel < 1e-6 && errors.rmse_metres < 1e-6 && errors.aligned_abs_rel < 1e-6, "{errors:?}");
        assert!((errors.delta1 - 1.0).abs() < 1e-12);
        // Scale and shift are nothing to a fit, and something to a range.
        let errors = truth().errors(&values.map(|value| 0.5 * value + 0.25)).expect("four values");
        assert!(errors.abs_rel > 0.1 && errors.aligned_abs_rel < 1e-6, "{errors:?}");
    }

    #[test]
    fn one_value_for_all_is_aligned_to_the_mean() {
        let errors = truth().errors(&[0.3; 4]).expect("four values");
        // The mean of 2, 1, 0.5 and 0.25 is 0.9375: 1.0667 m everywhere.
        let metres = 1.0 / 0.9375;
        let expected = [0.5, 1.0, 2.0, 4.0_f64].map(|truth| (metres - truth).abs() / truth).iter().sum::<f64>() / 4.0;
        assert!((errors.aligned_abs_rel - expected).abs() < 1e-9, "{errors:?}");
    }

    #[test]
    fn what_is_no_depth_is_refused() {
        for metres in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(DepthTruth::new(vec![1.0, metres], RANGE), Err(EvaluationError::Depth { .. })));
        }
        for range in [[0.0, 1.0], [2.0, 1.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
            assert!(matches!(DepthTruth::new(vec![1.0], range), Err(EvaluationError::Range { .. })));
        }
        let short = truth().errors(&[0.0; 3]);
        assert_eq!(short, Err(EvaluationError::Length { what: "a depth video", got: 3, expected: 4 }));
        assert!(matches!(truth().errors(&[f32::NAN; 4]), Err(EvaluationError::NotFinite { .. })));
    }
}
