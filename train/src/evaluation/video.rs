use super::error::{EvaluationError, check};

/// The ratio in decibels that pictures without a difference are said to have.
pub const MAX_PSNR: f64 = 100.0;

/// How far the values of a video are from the true ones, over all of a clip.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VideoErrors {
    /// Mean of the magnitudes of the differences of values in [0, 1].
    pub l1: f64,
    /// Peak signal-to-noise ratio in decibels: `-10 log10` of the mean of the squares, at most [`MAX_PSNR`].
    pub psnr: f64,
}

/// Compares values in `[0, 1]` of two videos of the same shape. Fails for other numbers of values, and for values that are
/// not finite.
pub fn video_errors(truth: &[f32], predicted: &[f32]) -> Result<VideoErrors, EvaluationError> {
    check("a video", predicted, truth.len())?;
    let n = truth.len().max(1) as f64;
    let (mut absolute, mut squared) = (0.0, 0.0);
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        let difference = (f64::from(truth) - f64::from(predicted)).abs();
        absolute += difference;
        squared += difference * difference;
    }
    Ok(VideoErrors { l1: absolute / n, psnr: (-10.0 * (squared / n).log10()).min(MAX_PSNR) })
}

#[cfg(test)]
mod tests {
    use super::{MAX_PSNR, video_errors};

    #[test]
    fn a_tenth_is_twenty_decibels() {
        let errors = video_errors(&[0.0, 1.0, 0.5], &[0.1, 0.9, 0.6]).expect("three values");
        assert!((errors.l1 - 0.1).abs() < 1e-6 && (errors.psnr - 20.0).abs() < 1e-5, "{errors:?}");
    }

    #[test]
    fn the_same_picture_has_a_finite_ratio() {
        let errors = video_errors(&[0.25; 4], &[0.25; 4]).expect("four values");
        assert!(errors.l1.abs() < 1e-12 && (errors.psnr - MAX_PSNR).abs() < 1e-12);
        assert!(video_errors(&[0.0; 4], &[0.0; 5]).is_err());
        assert!(video_errors(&[0.0], &[f32::INFINITY]).is_err());
    }
}
