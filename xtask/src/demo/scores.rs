//! How far predictions are from the truth, and how far who looks at no clip is.

use anyhow::Result;
use egom2p_motion::{Pose, trajectory_errors};

use super::{
    predictions::{Gaze, Predictions},
    sample::Sample,
};

/// The errors of one modality; less is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// Of what was predicted.
    pub(super) model: f64,
    /// Of what is predicted without a look at the clip.
    pub(super) naive: f64,
}

/// The errors of one clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scores {
    /// Absolute trajectory error in metres, beside a camera that stays where it is.
    pub(super) camera: Score,
    /// Mean of |predicted - true| / true of depth in metres, beside the mean depth of the training clips. All are told the
    /// nearest and the farthest distance of the clip, because the model predicts depth between these two.
    pub(super) depth: Score,
    /// Mean squared error of the gaze's coordinates, 0 to 1, where it was measured, beside the mean of the training clips.
    pub(super) gaze: Score,
}

impl Scores {
    /// Compares predictions with the truth.
    pub(super) fn of(predictions: &Predictions, sample: &Sample) -> Result<Self> {
        let ate = |poses: &[Pose]| trajectory_errors(&sample.poses, poses).map(|errors| errors.ate);
        let naive_depth = vec![sample.naive_depth.clone(); sample.frames.len()];
        let (x, y) = sample.naive_gaze;
        let naive_gaze: Vec<Gaze> = sample.gaze.iter().map(|gaze| Gaze { x, y, ..*gaze }).collect();
        let size = (sample.side, sample.side);
        Ok(Self {
            camera: Score { model: ate(&predictions.poses)?, naive: ate(&vec![Pose::IDENTITY; sample.poses.len()])? },
            depth: Score {
                model: depth_error(sample, &predictions.depth, predictions.depth_size),
                naive: depth_error(sample, &naive_depth, size),
            },
            gaze: Score {
                model: gaze_error(&sample.gaze, &predictions.gaze),
                naive: gaze_error(&sample.gaze, &naive_gaze),
            },
        })
    }
}

/// Of pictures of any size, looked up at the middles of the true pixels.
fn depth_error(sample: &Sample, predicted: &[Vec<f64>], (height, width): (usize, usize)) -> f64 {
    let place = |index: usize, n: usize| (2 * index + 1) * n / (2 * sample.side);
    let errors = sample.depth.iter().zip(predicted).flat_map(|(truth, predicted)| {
        truth.iter().enumerate().map(move |(pixel, metres)| {
            let (row, column) = (place(pixel / sample.side, height), place(pixel % sample.side, width));
            (sample.metres(predicted[row * width + column]) - metres).abs() / metres
        })
    });
    mean(errors)
}

fn gaze_error(truth: &[Gaze], predicted: &[Gaze]) -> f64 {
    let pairs = truth.iter().zip(predicted).flat_map(|(truth, gaze)| [(truth.x, gaze.x), (truth.y, gaze.y)]);
    mean(pairs.filter(|(truth, _)| truth.is_finite()).map(|(truth, predicted)| (predicted - truth).powi(2)))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
    sum / f64::from(n)
}

#[cfg(test)]
mod tests {
    use egom2p_motion::Pose;

    use super::{Gaze, Predictions, Sample, Scores};

    fn gaze(x: f64, y: f64) -> Gaze {
        Gaze { time_secs: 0.0, x, y }
    }

    fn moved(metres: f64) -> Pose {
        Pose { translation: [0.0, 0.0, metres], ..Pose::IDENTITY }
    }

    /// Two frames of two by two pixels, 1 m and 2 m away: 0.5 and 1 are the inverse depths.
    fn sample() -> Sample {
        Sample {
            side: 2,
            frames: vec![vec![0; 12]; 2],
            depth: vec![vec![1.0, 1.0, 2.0, 2.0]; 2],
            inverse_depth_range: (0.5, 1.0),
            poses: vec![moved(0.0), moved(1.0), moved(2.0)],
            gaze: vec![gaze(0.5, 0.5), gaze(f64::NAN, f64::NAN), gaze(0.7, 0.5)],
            naive_depth: vec![1.0; 4],
            naive_gaze: (0.5, 0.5),
        }
    }

    #[test]
    fn the_truth_has_no_error() {
        let sample = sample();
        let depth = sample.depth.iter().map(|frame| frame.iter().map(|metres| sample.depth(*metres)).collect());
        let predictions = Predictions {
            depth: depth.collect(),
            depth_size: (2, 2),
            gaze: vec![gaze(0.5, 0.5), gaze(0.1, 0.9), gaze(0.7, 0.5)],
            poses: sample.poses.clone(),
        };
        let scores = Scores::of(&predictions, &sample).expect("as many poses");
        for score in [scores.camera, scores.depth, scores.gaze] {
            assert!(score.model.abs() < 1e-9 && score.naive > 0.0, "{scores:?}");
        }
        // Four of eight pixels are 1 m where 2 m are right; the gaze is off by 0.2 in one of four coordinates; the
        // positions 0, 1, 2 m are kept at 0.
        assert!((scores.depth.naive - 0.25).abs() < 1e-9, "{scores:?}");
        assert!((scores.gaze.naive - 0.01).abs() < 1e-9, "{scores:?}");
        assert!((scores.camera.naive - (5.0f64 / 3.0).sqrt()).abs() < 1e-9, "{scores:?}");
    }

    #[test]
    fn larger_depth_pictures_are_looked_up_at_the_same_places() {
        let sample = sample();
        let picture = [[1.0; 8], [0.0; 8]].concat();
        let predictions = Predictions {
            depth: vec![picture; 2],
            depth_size: (4, 4),
            gaze: sample.gaze.clone(),
            poses: sample.poses.clone(),
        };
        let scores = Scores::of(&predictions, &sample).expect("as many poses");
        assert!(scores.depth.model.abs() < 1e-9, "{scores:?}");
    }
}
