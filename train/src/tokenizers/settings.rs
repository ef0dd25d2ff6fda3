use super::{Result, TokenizerError, VectorQuantizerSettings};
use crate::AdamWSettings;
use crate::schedule::Schedule;
use egom2p_model::Modality;

/// Whose numbers are meant where paper and published code differ (specification section 5.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettingsSource {
    /// The paper and its supplement.
    Paper,
    /// The published configuration files.
    Published,
}

/// How a tokenizer is trained.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TokenizerSettings {
    /// The optimiser.
    pub optimizer: AdamWSettings,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// Clips of a step, on all ranks together.
    pub batch: usize,
    /// How often every clip is seen; a last batch that is not full is dropped.
    pub epochs: u64,
    /// Over how many of them the learning rate rises.
    pub warmup_epochs: u64,
    /// The codebook; finite scalar quantisation has none.
    pub quantizer: VectorQuantizerSettings,
    /// What initial weights, the order of the clips and the replacement of dead codes follow from.
    pub seed: u64,
}

impl SettingsSource {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Paper, Self::Published];

    /// Its name in settings: `paper` or `published`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Published => "published",
        }
    }

    /// The source of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

impl TokenizerSettings {
    /// The settings of the camera and gaze tokenizers (specification section 5.4). Paper and published files differ in the
    /// second beta only.
    pub fn motion(modality: Modality, source: SettingsSource) -> Result<Self> {
        let learning_rate = match modality {
            Modality::Camera => 5e-5,
            Modality::Gaze => 1e-4,
            Modality::Depth | Modality::Rgb => return Err(TokenizerError::not_motion(modality)),
        };
        let betas = match source {
            SettingsSource::Paper => (0.9, 0.95),
            SettingsSource::Published => (0.9, 0.99),
        };
        Ok(Self {
            optimizer: AdamWSettings { betas, epsilon: 1e-8, weight_decay: 0.05, clip_norm: Some(1.0) },
            learning_rate,
            batch: 512,
            epochs: 200,
            warmup_epochs: 5,
            quantizer: VectorQuantizerSettings::default(),
            seed: 0,
        })
    }

    /// Settings for a small video tokenizer. They are this project's own: EgoM2P takes its video tokenizer from others.
    pub fn video() -> Self {
        Self {
            optimizer: AdamWSettings { betas: (0.9, 0.99), epsilon: 1e-8, weight_decay: 0.01, clip_norm: Some(1.0) },
            learning_rate: 1e-3,
            batch: 8,
            epochs: 100,
            warmup_epochs: 1,
            quantizer: VectorQuantizerSettings::default(),
            seed: 0,
        }
    }

    /// The schedule for this many clips: a line from 0 over the warm-up, then half a cosine to 0.
    pub fn schedule(&self, n_clips: usize) -> Result<Schedule> {
        if self.batch == 0 || self.batch > n_clips {
            let (value, expected) = (self.batch.to_string(), format!("1 to the number of clips, which is {n_clips}"));
            return Err(TokenizerError::Setting { name: "batch", value, expected });
        }
        if self.warmup_epochs > self.epochs {
            let (value, expected) = (self.warmup_epochs.to_string(), format!("at most all {} epochs", self.epochs));
            return Err(TokenizerError::Setting { name: "warmup_epochs", value, expected });
        }
        if !(self.learning_rate.is_finite() && self.learning_rate >= 0.0) {
            let (value, expected) = (self.learning_rate.to_string(), "a number that is not negative".to_owned());
            return Err(TokenizerError::Setting { name: "learning_rate", value, expected });
        }
        let steps = |epochs: u64| epochs.saturating_mul((n_clips / self.batch) as u64);
        Ok(Schedule {
            peak_learning_rate: self.learning_rate,
            final_learning_rate: 0.0,
            warmup_steps: steps(self.warmup_epochs),
            total_steps: steps(self.epochs),
        })
    }
}
