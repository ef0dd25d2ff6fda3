use egom2p_model::{Modality, ModelConfig};
use serde::{Deserialize, Serialize};

use crate::error::{Result, SynthError};

const MAX_SIDE: usize = 4096;
const MAX_LENGTH: usize = 10_000;
/// Colours and depths of a clip of this many pixels take 1.9 GB.
const MAX_PIXELS: usize = 1 << 28;
const MAX_RAYS: usize = 8;
const MAX_CLIPS: usize = 10_000_000;

/// Everything that synthetic datasets follow from.
///
/// Clip `i` of a split of a dataset depends on `seed`, the dataset's name, the split and `i`, on the sizes and on the
/// dataset's and gaze's settings, but not on other clips or datasets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Another seed gives other clips throughout.
    pub seed: u64,
    /// Frames of a clip, at 8 per second.
    pub frames: usize,
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// Camera poses and gaze samples of a clip, at 30 per second.
    pub samples: usize,
    /// A pixel's colour is the mean over this many rays squared.
    pub rays: usize,
    /// What the rooms are like.
    pub rooms: Rooms,
    /// How gaze is measured.
    pub gaze: GazeSettings,
    /// The datasets, whose names differ.
    pub datasets: Vec<DatasetSettings>,
}

/// What the rooms of all datasets are like.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rooms {
    /// Furniture, textures and colours of many kinds, a lamp at the ceiling. What a patch of the picture shows says little
    /// of its distance.
    #[default]
    Furnished,
    /// Bare and dark, with the same surfaces everywhere and a lamp on the head: near is bright. A small model learns from
    /// few of them.
    Dark,
}

/// What an eye tracker makes of where the eyes look.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GazeSettings {
    /// Standard deviation of the noise of each coordinate, in degrees at the middle of the picture. The default is 0.5.
    pub noise_degrees: f64,
    /// Share of the samples that are NaN, in gaps as blinks make them. The default is 0.06.
    pub invalid_share: f64,
}

/// One dataset: how much of what, and how its people behave.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSettings {
    /// Its folder: letters, digits, `-` and `_`.
    pub name: String,
    /// What is written; the others are missing.
    #[serde(with = "modality_names")]
    pub modalities: Vec<Modality>,
    /// Clips of the training split.
    pub training_clips: usize,
    /// Clips of the validation split.
    pub validation_clips: usize,
    /// Probability that a person walks rather than stands and looks around.
    pub walks: f64,
    /// Probability that something swings in the room.
    pub swings: f64,
}

/// Which part of a dataset a clip belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Split {
    /// For training.
    Training,
    /// Held out.
    Validation,
}

impl Settings {
    /// Three datasets for a model of these sizes, unequal as the published ones are: `rooms` with all modalities, `walks`
    /// with colour, depth and camera, `tasks` with colour, gaze and camera, 38, 12 and 50 of a hundred clips. A tenth of
    /// `clips` comes on top for validation.
    pub fn for_model(config: &ModelConfig, seed: u64, clips: usize) -> Self {
        use Modality::{Camera, Depth, Gaze, Rgb};
        let dataset = |name: &str, modalities: &[Modality], percent: usize, walks: f64, swings: f64| {
            let training_clips = (clips * percent).div_ceil(100);
            DatasetSettings {
                name: name.to_owned(),
                modalities: modalities.to_vec(),
                training_clips,
                validation_clips: training_clips.div_ceil(10),
                walks,
                swings,
            }
        };
        Self {
            seed,
            frames: config.video.frames,
            height: config.video.height,
            width: config.video.width,
            samples: config.motion.samples,
            rays: 2,
            rooms: Rooms::default(),
            gaze: GazeSettings::default(),
            datasets: vec![
                dataset("rooms", &[Rgb, Depth, Camera, Gaze], 38, 0.6, 0.15),
                dataset("walks", &[Rgb, Depth, Camera], 12, 0.95, 0.0),
                dataset("tasks", &[Rgb, Gaze, Camera], 50, 0.4, 0.25),
            ],
        }
    }

    /// Fails where a value is outside of what clips can be made of.
    pub fn validate(&self) -> Result<()> {
        let within = |name: &'static str, got: usize, least: usize, most: usize| {
            let error = || SynthError::setting(name, format!("{got}"), format!("{least} to {most}"));
            (least..=most).contains(&got).then_some(()).ok_or_else(error)
        };
        let share = |name: &'static str, got: f64, most: f64| {
            let error = || SynthError::setting(name, format!("{got}"), format!("0 to {most}"));
            (0.0..=most).contains(&got).then_some(()).ok_or_else(error)
        };
        within("frames", self.frames, 1, MAX_LENGTH)?;
        within("samples", self.samples, 1, MAX_LENGTH)?;
        within("height", self.height, 8, MAX_SIDE)?;
        within("width", self.width, 8, MAX_SIDE)?;
        let n_pixels = self.frames * self.height * self.width;
        within("frames x height x width", n_pixels, 1, MAX_PIXELS)?;
        within("rays", self.rays, 1, MAX_RAYS)?;
        share("gaze.noise_degrees", self.gaze.noise_degrees, 20.0)?;
        share("gaze.invalid_share", self.gaze.invalid_share, 1.0)?;
        for (index, dataset) in self.datasets.iter().enumerate() {
            within("training_clips", dataset.training_clips, 0, MAX_CLIPS)?;
            within("validation_clips", dataset.validation_clips, 0, MAX_CLIPS)?;
            share("walks", dataset.walks, 1.0)?;
            share("swings", dataset.swings, 1.0)?;
            let name = &dataset.name;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
                let expected = "1 to 64 letters, digits, - and _".to_owned();
                return Err(SynthError::setting("name", format!("{name:?}"), expected));
            }
            if self.datasets[..index].iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
                return Err(SynthError::setting("name", format!("{name:?} twice"), "names that differ".to_owned()));
            }
            let modalities = &dataset.modalities;
            if modalities.is_empty() || (1..modalities.len()).any(|i| modalities[..i].contains(&modalities[i])) {
                let names: Vec<&str> = modalities.iter().map(|modality| modality.name()).collect();
                let expected = "each modality at most once, and one at least".to_owned();
                return Err(SynthError::setting("modalities", format!("{names:?}"), expected));
            }
        }
        Ok(())
    }
}

impl Default for GazeSettings {
    fn default() -> Self {
        Self { noise_degrees: 0.5, invalid_share: 0.06 }
    }
}

impl DatasetSettings {
    /// Clips of a split.
    pub fn n_clips(&self, split: Split) -> usize {
        match split {
            Split::Training => self.training_clips,
            Split::Validation => self.validation_clips,
        }
    }
}

impl Split {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Training, Self::Validation];

    /// The name of its folder: `train` or `val`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Training => "train",
            Self::Validation => "val",
        }
    }
}

mod modality_names {
    use egom2p_model::Modality;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(modalities: &[Modality], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(modalities.iter().map(|modality| modality.name()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Modality>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let named = |name: &String| {
            Modality::from_name(name).ok_or_else(|| D::Error::custom(format!("{name:?} is no modality")))
        };
        names.iter().map(named).collect()
    }
}
