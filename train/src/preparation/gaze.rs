use super::{PreparationError, PreparationSettings, Split, windows};
use egom2p_motion::{GazeGeometry, GazeSample, normalise_gaze};

/// A clip, or a whole recording, as a dataset keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct GazeRecording {
    /// Its name.
    pub name: String,
    /// x and y in pixels of the dataset's image; NaN where gaze is missing.
    pub pixels: Vec<[f64; 2]>,
}

/// A clip for a gaze tokenizer.
#[derive(Clone, PartialEq, Debug)]
pub struct GazeClip {
    /// What the tokenizer takes, `[frames, 3]`: x and y in -1 to 1 over the crop, and 1 or 0 for valid; (-1, -1, 0) where
    /// invalid.
    pub input: Vec<f32>,
    /// How many frames are valid.
    pub n_valid: usize,
}

impl PreparationSettings {
    /// Windows of gaze recordings of one dataset, none across recordings. Invalid frames stay, marked as such; so does a clip
    /// without a valid one, to which a masked loss must not be applied alone.
    pub fn gaze_clips(
        &self,
        dataset: &str,
        recordings: &[GazeRecording],
        split: Split,
    ) -> Result<Vec<GazeClip>, PreparationError> {
        let geometry = self.gaze_geometry(dataset)?;
        let mut clips = Vec::new();
        for recording in recordings {
            let samples = converted(geometry, recording)?;
            let cut = windows(samples.len(), self.n_frames, self.stride(split));
            clips.extend(cut.map(|window| GazeClip::of(&samples[window])));
        }
        Ok(clips)
    }

    /// What a gaze tokenizer takes of one clip of [`PreparationSettings::n_frames`].
    pub fn gaze_input(&self, dataset: &str, clip: &GazeRecording) -> Result<GazeClip, PreparationError> {
        let geometry = self.gaze_geometry(dataset)?;
        let (n_frames, expected) = (clip.pixels.len(), self.n_frames);
        if n_frames != expected {
            return Err(PreparationError::Length { recording: clip.name.clone(), n_frames, expected });
        }
        Ok(GazeClip::of(&converted(geometry, clip)?))
    }

    fn gaze_geometry(&self, dataset: &str) -> Result<&GazeGeometry, PreparationError> {
        let geometry = self.dataset(dataset)?.gaze.as_ref();
        geometry.ok_or_else(|| PreparationError::Absent { dataset: dataset.to_owned(), modality: "gaze" })
    }
}

impl GazeClip {
    fn of(samples: &[GazeSample]) -> Self {
        Self { input: normalise_gaze(samples), n_valid: samples.iter().filter(|sample| sample.valid).count() }
    }
}

fn converted(geometry: &GazeGeometry, recording: &GazeRecording) -> Result<Vec<GazeSample>, PreparationError> {
    let samples = geometry.normalise(&recording.pixels);
    samples.map_err(|error| PreparationError::Motion { recording: recording.name.clone(), error })
}
