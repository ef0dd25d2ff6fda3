use egom2p::decoding::SamplerSettings;
use egom2p::generation::{Chaining, GenerationSettings, TargetSettings};
use egom2p_model::Modality;
use serde_json::{Value, json};
use std::{fmt, num::NonZero};

/// How rows of logits are bounded: 256 rows of the largest vocabulary are 65 MB.
const HEAD_ROWS: NonZero<usize> = NonZero::new(256).unwrap();

/// Settings of the decoding loop, as `egom2p run` has them; what is left out has the published value.
#[derive(clap::Args)]
#[command(next_help_heading = "Decoding")]
pub(super) struct DecodingArgs {
    /// Steps per target [default: camera 3, depth 3, gaze 5]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Weight of classifier-free guidance; 1 turns it off [default: 2]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    guidance: Option<f32>,
    /// Divisor of the logits; 0 always takes the largest [default: 0.01]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Draw from the smallest set of tokens with this much probability; 1 keeps all [default: 0.8]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Seed of positions and draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Let finished targets join the condition of later ones, in the order of --to; otherwise every target is predicted from
    /// rgb alone
    #[arg(long)]
    chained: bool,
}

impl DecodingArgs {
    /// What was typed, with the published value for what was not.
    pub(super) fn settings(&self, targets: &[Modality], n_threads: NonZero<usize>) -> GenerationSettings {
        let target = |&modality: &Modality| {
            let published = TargetSettings::published(modality);
            let sampler = published.sampler;
            TargetSettings {
                n_steps: self.steps.unwrap_or(published.n_steps),
                guidance: self.guidance.unwrap_or(published.guidance),
                sampler: SamplerSettings {
                    temperature: self.temperature.unwrap_or(sampler.temperature),
                    top_p: self.top_p.unwrap_or(sampler.top_p),
                    ..sampler
                },
                ..published
            }
        };
        GenerationSettings {
            targets: targets.iter().map(target).collect(),
            seed: self.seed,
            chaining: if self.chained { Chaining::Growing } else { Chaining::Independent },
            reuse_encoder: false,
            head_rows: HEAD_ROWS,
            n_threads,
        }
    }

    /// The settings of every target.
    pub(super) fn json(&self, targets: &[Modality]) -> Value {
        let settings = self.settings(targets, NonZero::<usize>::MIN);
        let target = |target: &TargetSettings| {
            json!({
                "modality": target.modality.name(),
                "steps": target.n_steps,
                "guidance": target.guidance,
                "temperature": target.sampler.temperature,
                "top_p": target.sampler.top_p,
            })
        };
        let targets: Vec<Value> = settings.targets.iter().map(target).collect();
        json!({ "seed": settings.seed, "chaining": settings.chaining.name(), "targets": targets })
    }
}

/// What differs from the published settings.
impl fmt::Display for DecodingArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = |name: &str, value: Option<String>| value.map(|value| format!(", {name} {value}"));
        let typed = [
            typed("steps", self.steps.map(|steps| steps.to_string())),
            typed("guidance", self.guidance.map(|weight| weight.to_string())),
            typed("temperature", self.temperature.map(|temperature| temperature.to_string())),
            typed("top-p", self.top_p.map(|share| share.to_string())),
        ];
        let typed: String = typed.into_iter().flatten().collect();
        let settings = if typed.is_empty() { "Published decoding" } else { "Published decoding but for" };
        let from = if self.chained { "targets after each other" } else { "every target from rgb alone" };
        write!(f, "{settings}{}, seed {}, {from}", typed.strip_prefix(',').unwrap_or_default(), self.seed)
    }
}
