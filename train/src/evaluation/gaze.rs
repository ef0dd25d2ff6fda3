use super::error::{EvaluationError, check};
use egom2p_motion::{GAZE_CHANNELS, GAZE_INPUT_CHANNELS};

/// The gaze of a clip.
#[derive(Clone, PartialEq, Debug)]
pub struct GazeTruth {
    /// x and y in [0, 1] over the crop, where valid.
    samples: Vec<Option<[f64; GAZE_CHANNELS]>>,
}

/// How far gaze is from the truth, over the valid samples of a clip and both coordinates.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GazeErrors {
    /// Mean of the squares, in crop coordinates.
    pub mse: f64,
    /// Mean of the magnitudes, in crop coordinates.
    pub mae: f64,
    /// Mean of the squares, in pixels of the crop.
    pub mse_pixels: f64,
    /// Mean of the magnitudes, in pixels of the crop.
    pub mae_pixels: f64,
}

impl GazeTruth {
    /// From what a gaze tokenizer takes, `[samples, 3]`: x and y in [-1, 1] and 1 for valid. Values beyond the last whole
    /// sample are ignored.
    pub fn of_input(input: &[f32]) -> Self {
        let sample = |&[x, y, valid]: &[f32; GAZE_INPUT_CHANNELS]| {
            (valid > 0.5).then(|| [x, y].map(|value| f64::midpoint(f64::from(value), 1.0)))
        };
        Self { samples: input.as_chunks().0.iter().map(sample).collect() }
    }

    /// The valid samples, x and y in [0, 1] over the crop.
    pub fn valid(&self) -> impl Iterator<Item = [f64; GAZE_CHANNELS]> {
        self.samples.iter().copied().flatten()
    }

    /// The errors of predicted gaze `[samples, 2]` in [0, 1] over a crop of `[width, height]` pixels; `None` where no sample
    /// is valid. Fails for another number of samples, and for values that are not finite.
    pub fn errors(
        &self,
        predicted: &[[f32; GAZE_CHANNELS]],
        crop_pixels: [usize; GAZE_CHANNELS],
    ) -> Result<Option<GazeErrors>, EvaluationError> {
        check("gaze", predicted.as_flattened(), GAZE_CHANNELS * self.samples.len())?;
        let mut sums = GazeErrors { mse: 0.0, mae: 0.0, mse_pixels: 0.0, mae_pixels: 0.0 };
        let mut n = 0.0;
        for (truth, predicted) in self.samples.iter().zip(predicted) {
            let Some(truth) = truth else { continue };
            for axis in 0..GAZE_CHANNELS {
                let error = (f64::from(predicted[axis]) - truth[axis]).abs();
                let pixels = error * crop_pixels[axis] as f64;
                sums.mse += error * error;
                sums.mae += error;
                sums.mse_pixels += pixels * pixels;
                sums.mae_pixels += pixels;
                n += 1.0;
            }
        }
        let GazeErrors { mse, mae, mse_pixels, mae_pixels } = sums;
        let errors = GazeErrors { mse: mse / n, mae: mae / n, mse_pixels: mse_pixels / n, mae_pixels: mae_pixels / n };
        Ok((n > 0.0).then_some(errors))
    }
}

#[cfg(test)]
mod tests {
    use super::{EvaluationError, GazeTruth};

    #[test]
    fn invalid_samples_do_not_count() {
        let truth = GazeTruth::of_input(&[0.0, 0.0, 1.0, -1.0, -1.0, 0.0, 1.0, -1.0, 1.0]);
        assert_eq!(truth.valid().collect::<Vec<_>>(), [[0.5, 0.5], [1.0, 0.0]]);
        let errors = truth.errors(&[[0.5, 0.75], [9.0, 9.0], [0.5, 0.0]], [8, 4]).expect("three samples");
        let errors = errors.expect("valid samples");
        // Errors 0, 1/4, 1/2 and 0; in pixels 0, 1, 4 and 0.
        assert_eq!([errors.mse, errors.mae].map(f64::to_bits), [5.0_f64 / 64.0, 12.0 / 64.0].map(f64::to_bits));
        assert_eq!(
            [errors.mse_pixels, errors.mae_pixels].map(f64::to_bits),
            [17.0_f64 / 4.0, 5.0 / 4.0].map(f64::to_bits)
        );
    }

    #[test]
    fn a_clip_without_gaze_has_no_error() {
        let truth = GazeTruth::of_input(&[-1.0, -1.0, 0.0]);
        assert_eq!(truth.errors(&[[0.5, 0.5]], [8, 8]), Ok(None));
        let long = truth.errors(&[[0.5, 0.5]; 2], [8, 8]);
        assert_eq!(long, Err(EvaluationError::Length { what: "gaze", got: 4, expected: 2 }));
        assert!(truth.errors(&[[f32::NAN, 0.5]], [8, 8]).is_err());
    }
}
