use std::{num::NonZeroUsize, str::FromStr as _};

use egom2p::{
    decoding::{SamplerSettings, TemperatureSchedule, TokenSchedule, TopK},
    generation::{Chaining, GenerationSettings, GuidanceOn, TargetSettings},
};
use egom2p_model::Modality;

/// How rows of logits are bounded: 256 rows of the largest vocabulary are 65 MB.
const HEAD_ROWS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Settings of the decoding loop; what is left out has the published value.
#[derive(clap::Args)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct DecodingArgs {
    /// Steps per target [default: camera 3, depth 3, gaze 5, rgb 6]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Weight of classifier-free guidance; 1 turns it off [default: 2]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    guidance: Option<f32>,
    /// What guidance mixes: the logits, as the published code, or the probabilities, as the paper's Algorithm A.2
    #[arg(long, value_enum, default_value_t)]
    guidance_on: GuidanceOnName,
    /// Divisor of the logits; 0 always takes the largest [default: 0.01]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Draw from the smallest set of tokens with this much probability; 1 keeps all [default: 0.8]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Draw from this many tokens at the most; 0 keeps all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// How the temperature changes over the steps: constant, linear or onex:MIN:POWER
    #[arg(long, value_name = "NAME", default_value = "constant", value_parser = temperature_schedule)]
    temperature_schedule: TemperatureSchedule,
    /// How tokens are spread over steps
    #[arg(long, value_enum, default_value_t)]
    schedule: ScheduleName,
    /// Seed of positions and draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Let every target see the input alone, as one published script per target; otherwise finished targets join the condition
    #[arg(long)]
    independent: bool,
    /// Approximate: from the second step of a target on, see the input as it was encoded without the target's tokens, in
    /// place of encoding both together
    #[arg(long)]
    reuse_encoder: bool,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum GuidanceOnName {
    #[default]
    Logits,
    Probabilities,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum ScheduleName {
    #[default]
    Linear,
    Cosine,
}

impl DecodingArgs {
    /// What was typed, with the published value for what was not.
    pub(crate) fn settings(&self, targets: &[Modality], n_threads: NonZeroUsize) -> GenerationSettings {
        let target = |&modality: &Modality| {
            let published = TargetSettings::published(modality);
            TargetSettings {
                modality,
                n_steps: self.steps.unwrap_or(published.n_steps),
                schedule: match self.schedule {
                    ScheduleName::Linear => TokenSchedule::Linear,
                    ScheduleName::Cosine => TokenSchedule::Cosine,
                },
                temperature_schedule: self.temperature_schedule,
                guidance: self.guidance.unwrap_or(published.guidance),
                guidance_on: match self.guidance_on {
                    GuidanceOnName::Logits => GuidanceOn::Logits,
                    GuidanceOnName::Probabilities => GuidanceOn::Probabilities,
                },
                sampler: SamplerSettings {
                    temperature: self.temperature.unwrap_or(published.sampler.temperature),
                    top_p: self.top_p.unwrap_or(published.sampler.top_p),
                    top_k: match self.top_k {
                        0 => TopK::Off,
                        count => TopK::Count(count),
                    },
                },
            }
        };
        GenerationSettings {
            targets: targets.iter().map(target).collect(),
            seed: self.seed,
            chaining: if self.independent { Chaining::Independent } else { Chaining::Growing },
            reuse_encoder: self.reuse_encoder,
            head_rows: HEAD_ROWS,
            n_threads,
        }
    }
}

fn temperature_schedule(text: &str) -> Result<TemperatureSchedule, String> {
    TemperatureSchedule::from_str(text).map_err(|error| error.to_string().replace('\n', "; "))
}
