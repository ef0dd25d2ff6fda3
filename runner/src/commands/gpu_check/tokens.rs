use egom2p::{
    benchmark::Synthetic,
    decoding::{SamplerSettings, TopK},
    generation::{Chaining, Generated, GenerationSettings, ModalityTokens, TargetSettings, generate},
    stages::{Stages, StagesError},
};
use egom2p_engine_core::Tensor;
use egom2p_model::{Modality, ModelConfig, Stage};
use std::num::NonZeroUsize;

use super::{cases::SEED, sample::arg_max};

/// What is decoded, as far as the bundle can.
pub(super) const TARGETS: [Modality; 3] = [Modality::Depth, Modality::Camera, Modality::Gaze];
/// How rows of logits are bounded.
const HEAD_ROWS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// RGB tokens that follow from the seed.
pub(super) fn given(config: &ModelConfig) -> Vec<ModalityTokens> {
    let tokens = Synthetic::new(config, SEED).tokens(Modality::Rgb);
    vec![ModalityTokens { modality: Modality::Rgb, tokens }]
}

/// The published settings, or the same at temperature 0.
pub(super) fn settings(targets: &[Modality], greedy: bool, n_threads: NonZeroUsize) -> GenerationSettings {
    let target = |&modality: &Modality| {
        let published = TargetSettings::published(modality);
        let sampler = SamplerSettings { temperature: 0.0, top_p: 1.0, top_k: TopK::Off };
        TargetSettings { sampler: if greedy { sampler } else { published.sampler }, ..published }
    };
    GenerationSettings {
        targets: targets.iter().map(target).collect(),
        seed: SEED,
        chaining: Chaining::Growing,
        reuse_encoder: false,
        head_rows: HEAD_ROWS,
        n_threads,
    }
}

/// Decodes targets from the given tokens.
pub(super) fn decode(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    settings: &GenerationSettings,
) -> anyhow::Result<Generated> {
    Ok(generate(stages, config, &given(config), settings, &mut |_| ())?)
}

/// Positions and tokens in the order in which they were decoded.
pub(super) fn in_order(generated: &Generated) -> (Vec<i64>, Vec<i64>) {
    let positions = generated.steps.iter().flat_map(|step| step.positions.iter().copied());
    let tokens = generated.steps.iter().flat_map(|step| step.tokens.iter().copied());
    (positions.collect(), tokens.collect())
}

/// Stages whose logits are watched: what a greedy decoding would take of each row, and by what lead. Where tokens are
/// forced, the logits that go on say those tokens, so that each step comes after tokens that somebody else chose.
///
/// Guidance is mixed on hidden states, so that the logits of a head are those that decide.
pub(super) struct Watch<'a> {
    stages: &'a mut dyn Stages,
    forced: Option<&'a [i64]>,
    /// The place of the largest logit, row after row.
    pub(super) largest: Vec<i64>,
    /// By how much it leads the next.
    pub(super) leads: Vec<f32>,
    /// The largest magnitude of the largest logits.
    pub(super) max_abs: f64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(stages: &'a mut dyn Stages, forced: Option<&'a [i64]>) -> Self {
        Self { stages, forced, largest: Vec::new(), leads: Vec::new(), max_abs: 0.0 }
    }
}

impl Stages for Watch<'_> {
    fn run(&mut self, stage: Stage, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>, StagesError> {
        let mut outputs = self.stages.run(stage, inputs)?;
        if ![Stage::HeadCamera, Stage::HeadDepth, Stage::HeadGaze, Stage::HeadRgb].contains(&stage) {
            return Ok(outputs);
        }
        for (_, output) in &mut outputs {
            let width = output.shape().last().copied().unwrap_or(1).max(1);
            let egom2p_engine_core::DataMut::F32(logits) = output.as_mut().1 else { continue };
            for row in logits.chunks_exact_mut(width) {
                let best = arg_max(row);
                let leader = row[best as usize];
                let others = row.iter().enumerate().filter(|(at, _)| *at != best as usize).map(|(_, value)| *value);
                self.leads.push(leader - others.fold(f32::NEG_INFINITY, f32::max));
                self.max_abs = self.max_abs.max(f64::from(leader.abs()));
                if let Some(token) = self.forced.and_then(|forced| forced.get(self.largest.len())) {
                    row.fill(0.0);
                    if let Some(logit) = usize::try_from(*token).ok().and_then(|token| row.get_mut(token)) {
                        *logit = 1.0;
                    }
                }
                self.largest.push(best);
            }
        }
        Ok(outputs)
    }

    fn release(&mut self, stage: Stage) {
        self.stages.release(stage);
    }
}
