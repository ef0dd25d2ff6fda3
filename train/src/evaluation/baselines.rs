use super::{EvaluationError, GazeTruth, error::check};
use egom2p_motion::{CAMERA_CHANNELS, GAZE_CHANNELS, MotionError, Pose, world_from_camera};

/// Frame after frame of a camera that does not move (specification section 2.4).
const STILL: [f32; CAMERA_CHANNELS] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];

/// What is predicted by who knows nothing of a clip but what training clips are like.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Baselines {
    /// The mean depth video `[frames, height, width]` in [0, 1], if a training clip has depth.
    pub depth: Option<Vec<f32>>,
    /// The mean gaze in [0, 1] over the crop, if a training clip has a valid sample.
    pub gaze: Option<[f32; GAZE_CHANNELS]>,
}

/// Sums over training clips.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct TrainingMeans {
    depth: Vec<f64>,
    n_depth_clips: usize,
    gaze: [f64; GAZE_CHANNELS],
    n_gaze_samples: usize,
}

impl TrainingMeans {
    /// Takes a depth video `[frames, height, width]` in [0, 1] in. Fails where it is not as long as those before.
    pub fn push_depth(&mut self, values: &[f32]) -> Result<(), EvaluationError> {
        if self.n_depth_clips == 0 {
            self.depth = vec![0.0; values.len()];
        }
        check("a depth video", values, self.depth.len())?;
        for (sum, &value) in self.depth.iter_mut().zip(values) {
            *sum += f64::from(value);
        }
        self.n_depth_clips += 1;
        Ok(())
    }

    /// Takes the valid samples of a clip in.
    pub fn push_gaze(&mut self, clip: &GazeTruth) {
        for sample in clip.valid() {
            for (sum, value) in self.gaze.iter_mut().zip(sample) {
                *sum += value;
            }
            self.n_gaze_samples += 1;
        }
    }

    /// The means so far.
    pub fn finish(&self) -> Baselines {
        let mean = |sum: &f64, n: usize| (sum / n as f64) as f32;
        Baselines {
            depth: (self.n_depth_clips > 0)
                .then(|| self.depth.iter().map(|sum| mean(sum, self.n_depth_clips)).collect()),
            gaze: (self.n_gaze_samples > 0).then(|| self.gaze.map(|sum| mean(&sum, self.n_gaze_samples))),
        }
    }
}

impl Baselines {
    /// The mean of all depth values, as a video of as many.
    pub fn depth_value(&self) -> Option<Vec<f32>> {
        let depth = self.depth.as_ref()?;
        let sum: f64 = depth.iter().map(|&value| f64::from(value)).sum();
        Some(vec![(sum / depth.len().max(1) as f64) as f32; depth.len()])
    }

    /// Poses of a camera that does not move.
    pub fn constant_pose(n_frames: usize) -> Result<Vec<Pose>, MotionError> {
        world_from_camera(&vec![STILL; n_frames])
    }
}

#[cfg(test)]
mod tests {
    use super::{Baselines, GazeTruth, Pose, TrainingMeans};

    #[test]
    fn means_are_over_clips_and_valid_samples() {
        let mut means = TrainingMeans::default();
        assert_eq!(means.finish(), Baselines::default());
        means.push_depth(&[0.0, 1.0]).expect("the first clip");
        means.push_depth(&[0.5, 0.5]).expect("as long");
        assert!(means.push_depth(&[0.5]).is_err());
        means.push_gaze(&GazeTruth::of_input(&[0.0, 0.0, 1.0, -1.0, -1.0, 0.0]));
        means.push_gaze(&GazeTruth::of_input(&[1.0, -1.0, 1.0]));
        let baselines = means.finish();
        assert_eq!(baselines, Baselines { depth: Some(vec![0.25, 0.75]), gaze: Some([0.75, 0.25]) });
        assert_eq!(baselines.depth_value(), Some(vec![0.5, 0.5]));
    }

    #[test]
    fn the_constant_pose_is_the_identity() {
        assert_eq!(Baselines::constant_pose(3), Ok(vec![Pose::IDENTITY; 3]));
    }
}
