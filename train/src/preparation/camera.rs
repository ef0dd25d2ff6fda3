use super::{CameraConvention, PreparationError, PreparationSettings, Split, windows};
use egom2p_motion::{CAMERA_CHANNELS, Pose, canonicalise};

/// A clip, or a whole recording, as a dataset keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct CameraRecording {
    /// Its name.
    pub name: String,
    /// World-from-camera matrices, row-major, in the dataset's camera axes and metres; not finite where tracking was lost.
    pub world_from_camera: Vec<[f64; 16]>,
}

/// Clips for a camera tokenizer.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct CameraClips {
    /// Frames of every clip relative to its first, not normalised; all of the same length.
    pub clips: Vec<Vec<[f64; CAMERA_CHANNELS]>>,
    /// The recordings that were left out because a value is not finite.
    pub skipped: Vec<String>,
}

impl PreparationSettings {
    /// Windows of camera recordings of one dataset, which are given in their order.
    ///
    /// A recording with a value that is not finite is left out whole and named. Where the dataset's clips are consecutive,
    /// what stands before such a gap is not joined to what stands after it.
    pub fn camera_clips(
        &self,
        dataset: &str,
        recordings: &[CameraRecording],
        split: Split,
    ) -> Result<CameraClips, PreparationError> {
        let convention = self.camera_convention(dataset)?;
        let mut prepared = CameraClips::default();
        let mut trajectory = Vec::new();
        for recording in recordings {
            let is_finite = recording.world_from_camera.as_flattened().iter().all(|value| value.is_finite());
            if !is_finite {
                prepared.skipped.push(recording.name.clone());
            }
            if !is_finite || !convention.clips_are_consecutive {
                self.cut(dataset, &std::mem::take(&mut trajectory), split, &mut prepared)?;
            }
            if is_finite {
                let poses = convention.poses(&recording.world_from_camera);
                let failed = |error| PreparationError::Motion { recording: recording.name.clone(), error };
                trajectory.extend(poses.map_err(failed)?);
            }
        }
        self.cut(dataset, &trajectory, split, &mut prepared)?;
        Ok(prepared)
    }

    /// What a camera tokenizer takes of one clip of [`PreparationSettings::n_frames`], `[frames, 9]`, normalised.
    pub fn camera_input(&self, dataset: &str, clip: &CameraRecording) -> Result<Vec<f32>, PreparationError> {
        let convention = self.camera_convention(dataset)?;
        let (n_frames, expected) = (clip.world_from_camera.len(), self.n_frames);
        if n_frames != expected {
            return Err(PreparationError::Length { recording: clip.name.clone(), n_frames, expected });
        }
        let failed = |error| PreparationError::Motion { recording: clip.name.clone(), error };
        let poses = convention.poses(&clip.world_from_camera).map_err(failed)?;
        Ok(self.normalised(&canonicalise(&poses).map_err(failed)?))
    }

    /// Frames less the mean, over the standard deviation: computed in f64, rounded to f32 once.
    pub fn normalised(&self, frames: &[[f64; CAMERA_CHANNELS]]) -> Vec<f32> {
        self.camera_normalisation.normalise(frames).into_iter().map(|value| value as f32).collect()
    }

    fn camera_convention(&self, dataset: &str) -> Result<&CameraConvention, PreparationError> {
        let convention = self.dataset(dataset)?.camera.as_ref();
        convention.ok_or_else(|| PreparationError::Absent { dataset: dataset.to_owned(), modality: "camera" })
    }

    fn cut(
        &self,
        dataset: &str,
        trajectory: &[Pose],
        split: Split,
        into: &mut CameraClips,
    ) -> Result<(), PreparationError> {
        for window in windows(trajectory.len(), self.n_frames, self.stride(split)) {
            let frames = canonicalise(&trajectory[window]);
            into.clips.push(frames.map_err(|error| PreparationError::Motion { recording: dataset.to_owned(), error })?);
        }
        Ok(())
    }
}
