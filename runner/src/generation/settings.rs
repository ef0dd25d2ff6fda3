use std::num::NonZeroUsize;

use egom2p_model::Modality;

use crate::decoding::{SamplerSettings, TemperatureSchedule, TokenSchedule, TopK};

/// How one target modality is decoded. Defaults are the published ones ([`TargetSettings::published`]).
#[derive(Clone, PartialEq, Debug)]
pub struct TargetSettings {
    /// What is decoded.
    pub modality: Modality,
    /// In how many steps.
    pub n_steps: usize,
    /// How many tokens a step decodes.
    pub schedule: TokenSchedule,
    /// How the temperature changes over the steps.
    pub temperature_schedule: TemperatureSchedule,
    /// Weight of classifier-free guidance; 1 turns it off.
    pub guidance: f32,
    /// What guidance mixes.
    pub guidance_on: GuidanceOn,
    /// How tokens are drawn; the temperature is that of the first step.
    pub sampler: SamplerSettings,
}

/// What classifier-free guidance mixes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum GuidanceOn {
    /// `l_u + w (l_c - l_u)`, as the published code. Computed on the hidden states, which is the same up to rounding
    /// because the head is linear without bias.
    #[default]
    Logits,
    /// `p_u + w (p_c - p_u)`, as the paper's Algorithm A.2 prints it.
    Probabilities,
}

/// What a generation as a whole is told.
#[derive(Clone, PartialEq, Debug)]
pub struct GenerationSettings {
    /// The targets, in the order in which they are decoded.
    pub targets: Vec<TargetSettings>,
    /// Step `j` draws from seed `seed + j`.
    pub seed: u64,
    /// What a later target sees of the earlier ones.
    pub chaining: Chaining,
    /// Approximate: from the second step of a target on, the conditional pass sees the encoding of the condition that was
    /// made without the target's tokens, followed by the encoding of the target's tokens alone, in place of the encoding
    /// of both together. Saves every encoder pass over the condition but the first.
    pub reuse_encoder: bool,
    /// How many rows of logits exist at a time; bounds memory and changes nothing else.
    pub head_rows: NonZeroUsize,
    /// Threads of the sampler; changes nothing but time.
    pub n_threads: NonZeroUsize,
}

/// What a later target sees of the earlier ones.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Chaining {
    /// Finished targets join the condition (the published `cfg_grow_conditioning`), and steps are counted through.
    #[default]
    Growing,
    /// Every target sees the given tokens alone and counts its steps from 0, as one published script per target.
    Independent,
}

impl TargetSettings {
    /// The published settings of a target (specification section 4.1).
    pub fn published(modality: Modality) -> Self {
        let n_steps = match modality {
            Modality::Camera | Modality::Depth => 3,
            Modality::Gaze => 5,
            Modality::Rgb => 6,
        };
        Self {
            modality,
            n_steps,
            schedule: TokenSchedule::Linear,
            temperature_schedule: TemperatureSchedule::Constant,
            guidance: 2.0,
            guidance_on: GuidanceOn::Logits,
            sampler: SamplerSettings { temperature: 0.01, top_p: 0.8, top_k: TopK::Off },
        }
    }
}

impl GuidanceOn {
    /// Its name in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }
}

impl Chaining {
    /// Its name in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Independent => "independent",
        }
    }
}
