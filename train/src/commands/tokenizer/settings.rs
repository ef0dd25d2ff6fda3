use super::super::model::read_text;
use anyhow::{Context as _, bail, ensure};
use egom2p_model::{Modality, weights::WeightsPart};
use egom2p_train::AdamWSettings;
use egom2p_train::tokenizers::{SettingsSource, TokenizerSettings, VectorQuantizerSettings, VideoLoss};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A tokenizer's settings as JSON: [`TokenizerSettings`] and how videos are compared.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TokenizerFile {
    seed: u64,
    batch: usize,
    epochs: u64,
    warmup_epochs: u64,
    learning_rate: f64,
    optimizer: AdamWSettings,
    /// For camera and gaze.
    #[serde(deserialize_with = "Option::deserialize")]
    codebook: Option<Codebook>,
    /// For video: absolute or squared.
    #[serde(deserialize_with = "Option::deserialize")]
    video_loss: Option<String>,
}

/// How a codebook learns: [`VectorQuantizerSettings`].
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Codebook {
    decay: f64,
    commitment_weight: f64,
    dead_code_threshold: f64,
}

impl TokenizerFile {
    /// The settings that were asked for: paper, published, or a file.
    pub(super) fn named(name: Option<&Path>, part: WeightsPart) -> anyhow::Result<Self> {
        let Some(path) = name else { return Self::of(part, SettingsSource::Published) };
        if let Some(source) = path.to_str().and_then(SettingsSource::from_name) {
            return Self::of(part, source);
        }
        let shown = path.display();
        let read = serde_json::from_str::<Self>(&read_text(path)?);
        let file = read.with_context(|| {
            format!("{shown} has no settings of a tokenizer\nstart from what \"egom2p-train settings\" prints")
        })?;
        let is_video = part == WeightsPart::Video;
        let fits = file.codebook.is_some() != is_video && file.video_loss.is_some() == is_video;
        ensure!(
            fits,
            "{shown} is not for {part}\ngive video_loss for video and codebook for camera and gaze, and null for the other"
        );
        if is_video {
            file.video_loss()?;
        }
        if let Some((name, got, expected)) = file.senseless() {
            bail!("{shown}: {name} is {got}, expected {expected}\ncorrect the settings");
        }
        Ok(file)
    }

    /// A value that no training can go by, and what it may be. What depends on the clips is checked with them.
    fn senseless(&self) -> Option<(&'static str, f64, &'static str)> {
        let AdamWSettings { betas, epsilon, weight_decay, clip_norm } = self.optimizer;
        let share: (_, fn(f64) -> bool) = ("from 0 to below 1", |value| (0.0..1.0).contains(&value));
        let amount: (_, fn(f64) -> bool) = ("0 or more", |value| value >= 0.0 && value.is_finite());
        let positive: (_, fn(f64) -> bool) = ("above 0", |value| value > 0.0 && value.is_finite());
        let codebook =
            self.codebook.unwrap_or(Codebook { decay: 0.0, commitment_weight: 0.0, dead_code_threshold: 0.0 });
        let checks = [
            ("epochs", self.epochs as f64, positive),
            ("optimizer.betas", betas.0, share),
            ("optimizer.betas", betas.1, share),
            ("optimizer.epsilon", epsilon, positive),
            ("optimizer.weight_decay", weight_decay, share),
            ("optimizer.clip_norm", clip_norm.unwrap_or(1.0), positive),
            ("codebook.decay", codebook.decay, share),
            ("codebook.commitment_weight", codebook.commitment_weight, amount),
            ("codebook.dead_code_threshold", codebook.dead_code_threshold, amount),
        ];
        let mut senseless = checks.into_iter().filter(|(_, value, (_, is_sound))| !is_sound(*value));
        senseless.next().map(|(name, value, (expected, _))| (name, value, expected))
    }

    /// What the library trains by.
    pub(super) fn settings(&self) -> TokenizerSettings {
        let quantizer =
            self.codebook.map_or_else(VectorQuantizerSettings::default, |codebook| VectorQuantizerSettings {
                decay: codebook.decay,
                commitment_weight: codebook.commitment_weight,
                dead_code_threshold: codebook.dead_code_threshold,
            });
        TokenizerSettings {
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            batch: self.batch,
            epochs: self.epochs,
            warmup_epochs: self.warmup_epochs,
            quantizer,
            seed: self.seed,
        }
    }

    /// How videos are compared.
    pub(super) fn video_loss(&self) -> anyhow::Result<VideoLoss> {
        match self.video_loss.as_deref() {
            Some("absolute") => Ok(VideoLoss::Absolute),
            Some("squared") => Ok(VideoLoss::Squared),
            other => {
                bail!("video_loss is {}, expected absolute or squared\nchange the setting", other.unwrap_or("null"))
            }
        }
    }

    /// Those of the paper or of the published files.
    pub(in super::super) fn of(part: WeightsPart, source: SettingsSource) -> anyhow::Result<Self> {
        let (settings, is_video) = match part {
            WeightsPart::Camera => (TokenizerSettings::motion(Modality::Camera, source)?, false),
            WeightsPart::Gaze => (TokenizerSettings::motion(Modality::Gaze, source)?, false),
            WeightsPart::Video | WeightsPart::Model => (TokenizerSettings::video(), true),
        };
        let TokenizerSettings { optimizer, learning_rate, batch, epochs, warmup_epochs, quantizer, seed } = settings;
        let codebook = Codebook {
            decay: quantizer.decay,
            commitment_weight: quantizer.commitment_weight,
            dead_code_threshold: quantizer.dead_code_threshold,
        };
        Ok(Self {
            seed,
            batch,
            epochs,
            warmup_epochs,
            learning_rate,
            optimizer,
            codebook: (!is_video).then_some(codebook),
            video_loss: is_video.then(|| VideoLoss::default().name().to_owned()),
        })
    }
}
