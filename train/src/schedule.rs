use crate::pretraining::SettingsError;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How long a training is, in tokens, and how large its steps are.
///
/// A sample counts as its whole budget, visible tokens and targets, whether or not its modalities can fill it, as published.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSettings {
    /// The largest learning rate, for 256 samples a step; it grows in proportion to them.
    pub base_learning_rate: f64,
    /// The learning rate of the end.
    pub final_learning_rate: f64,
    /// Tokens over which the learning rate rises from 0.
    pub warmup_tokens: u64,
    /// Tokens of the whole training.
    pub total_tokens: u64,
    /// Samples of an epoch, if the training is to be a whole number of epochs of whole steps each, as published; `null`
    /// for the fewest steps that reach the total.
    #[serde(deserialize_with = "Option::deserialize")]
    pub epoch_samples: Option<u64>,
}

/// The learning rate of every step: a linear rise from 0, then half a cosine.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    /// The largest learning rate.
    pub peak_learning_rate: f64,
    /// What it falls to.
    pub final_learning_rate: f64,
    /// Steps of the rise; the last of them has the largest learning rate.
    pub warmup_steps: u64,
    /// Steps of rise and fall together.
    pub total_steps: u64,
}

impl Schedule {
    /// The schedule of steps of so many samples, each of which counts as so many tokens; neither is 0.
    pub fn new(settings: &ScheduleSettings, samples: u64, sample_tokens: u64) -> Self {
        let step_tokens = samples.saturating_mul(sample_tokens);
        let total_steps = match settings.epoch_samples {
            Some(epoch) => {
                settings.total_tokens.div_ceil(epoch.saturating_mul(sample_tokens)).saturating_mul(epoch / samples)
            }
            None => settings.total_tokens.div_ceil(step_tokens),
        };
        Self {
            peak_learning_rate: settings.base_learning_rate * samples as f64 / 256.0,
            final_learning_rate: settings.final_learning_rate,
            warmup_steps: settings.warmup_tokens.div_ceil(step_tokens),
            total_steps,
        }
    }

    /// The learning rate of a step, which count from 0; that of the end for all later ones.
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            // One step of warm-up is the first of a rise, as `numpy.linspace` has it: 0.
            return self.peak_learning_rate / (self.warmup_steps - 1).max(1) as f64 * step as f64;
        }
        if step >= self.total_steps {
            return self.final_learning_rate;
        }
        let progress = (step - self.warmup_steps) as f64 / (self.total_steps - self.warmup_steps) as f64;
        let range = self.peak_learning_rate - self.final_learning_rate;
        self.final_learning_rate + 0.5 * range * (1.0 + (PI * progress).cos())
    }
}

impl ScheduleSettings {
    pub(crate) fn validate(&self, samples: u64) -> Result<(), SettingsError> {
        let rates = [
            ("schedule.base_learning_rate", self.base_learning_rate),
            ("schedule.final_learning_rate", self.final_learning_rate),
        ];
        for (field, rate) in rates {
            SettingsError::unless((0.0..=1.0).contains(&rate), field, rate, "from 0 to 1")?;
        }
        let total = self.total_tokens;
        SettingsError::unless(total > 0, "schedule.total_tokens", total, "at least 1")?;
        let warmup = self.warmup_tokens;
        SettingsError::unless(warmup < total, "schedule.warmup_tokens", warmup, "fewer than schedule.total_tokens")?;
        let Some(epoch) = self.epoch_samples else { return Ok(()) };
        SettingsError::unless(epoch >= samples, "schedule.epoch_samples", epoch, "null, or at least batch.samples")
    }
}
