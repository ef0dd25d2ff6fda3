use super::SettingsError;
use crate::data::Weighting;
use crate::{AdamWSettings, LossKind, MaskingSettings, ModalityWeights, Schedule, ScheduleSettings};
use egom2p_calibration::Precision;
use serde::{Deserialize, Serialize};

/// Everything that a pretraining depends on besides the model, the data and the first parameters.
///
/// A file of settings is JSON, as a model's `config.json` is and as a checkpoint stores it: what is read back from a
/// checkpoint can be given again as it stands. Fields have no defaults: stored settings say everything.
///
/// Where the paper and the published code differ, there is a preset of each (specification sections 5.2, 5.3 and 5.5):
///
/// | | [`paper`](Self::paper) | [`published`](Self::published) |
/// |---|---|---|
/// | second beta of AdamW | 0.99 | 0.95 |
/// | length | 500e9 tokens: 119,210 steps | the same in whole epochs of 1,000,000 samples, 976 steps each: 120,048 steps |
///
/// The paper and the comments of the published settings also keep one dataset's RGB from being a target, which the
/// published code does not do; neither does this.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainingSettings {
    /// What all random choices of a training follow from.
    pub seed: u64,
    /// What the parameters are before the first step; a post-training, which is given them, does not read it.
    pub initialization: Initialization,
    /// What products are computed in.
    pub precision: TrainingPrecision,
    /// How the losses of the modalities become one.
    pub loss: LossKind,
    /// Samples of a step.
    pub batch: BatchSettings,
    /// What is visible and what is asked for.
    pub masking: MaskingSettings,
    /// How often each dataset is drawn from.
    pub sampling: Weighting,
    /// How parameters move.
    pub optimizer: AdamWSettings,
    /// How far and how fast.
    pub schedule: ScheduleSettings,
}

/// What the main model's parameters are before the first step of a pretraining.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialization {
    /// As the published code (specification section 1.9). Token tables start with a deviation of 0.02 beside positions of
    /// 0.71, so that the encoder's output hardly depends on tokens at first, and in a short training with a high learning
    /// rate may never.
    Published,
    /// For small models on few samples: attention starts where query and key have the same place, since queries and keys of
    /// a head are the same orthonormal rows (Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers"),
    /// and the encoder's token tables start with a deviation of 0.5. The rest is as published.
    Mimetic,
}

/// Samples of a step and how they pass through the network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSettings {
    /// Samples of a step; a multiple of `samples_per_pass`.
    pub samples: usize,
    /// Samples that are in the network at once; gradients of the passes are averaged. The published training has 256
    /// processes of 4 samples, which is the same as 256 passes.
    pub samples_per_pass: usize,
}

/// What products of a training are computed in; parameters, gradients and moments stay in single precision.
///
/// Half precision of IEEE 754 is missing: its gradients underflow without a scaled loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// Single precision throughout.
    Fp32,
    /// bfloat16 by the rule of autocast.
    Bf16,
}

impl PretrainingSettings {
    /// The paper's settings (Table A.2).
    pub fn paper() -> Self {
        let mut settings = Self::published();
        settings.optimizer.betas = (0.9, 0.99);
        settings.schedule.epoch_samples = None;
        settings
    }

    /// What the published code trains with.
    pub fn published() -> Self {
        Self {
            seed: 0,
            initialization: Initialization::Published,
            precision: TrainingPrecision::Bf16,
            loss: LossKind::Mod,
            batch: BatchSettings { samples: 1024, samples_per_pass: 4 },
            masking: MaskingSettings {
                visible_tokens: 2048,
                target_tokens: 2048,
                alphas: vec![0.01, 0.1, 1.0, 10.0],
                visible_weights: ModalityWeights::EQUAL,
                target_weights: ModalityWeights::EQUAL,
            },
            sampling: Weighting::Proportional,
            optimizer: AdamWSettings { betas: (0.9, 0.95), epsilon: 1e-8, weight_decay: 0.05, clip_norm: Some(1.0) },
            schedule: ScheduleSettings {
                base_learning_rate: 1e-4,
                final_learning_rate: 0.0,
                warmup_tokens: 10_000_000_000,
                total_tokens: 500_000_000_000,
                epoch_samples: Some(1_000_000),
            },
        }
    }

    /// The settings of this name: `paper` or `published`.
    pub fn preset(name: &str) -> Result<Self, SettingsError> {
        match name {
            "paper" => Ok(Self::paper()),
            "published" => Ok(Self::published()),
            _ => Err(SettingsError::UnknownPreset { name: name.to_owned() }),
        }
    }

    /// Reads the text of a settings file and checks it.
    pub fn from_json(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = serde_json::from_str(text).map_err(|error| SettingsError::unreadable(&error))?;
        settings.validate()?;
        Ok(settings)
    }

    /// The text of a settings file, indented, with a newline at the end.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }

    /// Fails unless a training can go by these settings.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let BatchSettings { samples, samples_per_pass } = self.batch;
        SettingsError::unless((1..=1 << 20).contains(&samples), "batch.samples", samples, "from 1 to 1048576")?;
        let divides = samples_per_pass > 0 && samples.is_multiple_of(samples_per_pass);
        SettingsError::unless(divides, "batch.samples_per_pass", samples_per_pass, "a divisor of batch.samples")?;
        self.masking.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate(samples as u64)
    }

    /// The learning rates of these settings.
    pub fn schedule(&self) -> Schedule {
        let sample_tokens = self.masking.visible_tokens + self.masking.target_tokens;
        Schedule::new(&self.schedule, self.batch.samples as u64, sample_tokens as u64)
    }
}

impl TrainingPrecision {
    /// What the stage graphs are to be computed in.
    pub fn graph_precision(self) -> Precision {
        match self {
            Self::Fp32 => Precision::Fp32,
            Self::Bf16 => Precision::Bf16,
        }
    }
}
