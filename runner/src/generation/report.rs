use egom2p_model::{Modality, ModelConfig};

use super::{Encoding, PlannedStep};

/// What one decoding step did, for `run.json` and for tests.
#[derive(Clone, PartialEq, Debug)]
pub struct StepReport {
    /// The target.
    pub modality: Modality,
    /// Counted over the target, from 0.
    pub step: usize,
    /// The seed of positions and noise.
    pub seed: u64,
    /// Tokens that the conditional pass saw.
    pub visible: usize,
    /// Tokens that the unconditional pass saw; `None` without guidance.
    pub visible_unconditional: Option<usize>,
    /// The positions decoded, in order.
    pub positions: Vec<i64>,
    /// The token drawn at each of them.
    pub tokens: Vec<i64>,
    /// Whether the encoder states that the conditional pass saw of the condition were those of an earlier step.
    pub shared_encoding: bool,
    /// Wall time per part.
    pub secs: StepSecs,
}

/// Wall time of one step.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct StepSecs {
    /// The encoder, both passes.
    pub encoder: f64,
    /// The decoder, both passes.
    pub decoder: f64,
    /// The output head.
    pub head: f64,
    /// Guidance and sampling.
    pub sampling: f64,
}

impl StepReport {
    pub(crate) fn new(step: &PlannedStep, config: &ModelConfig, tokens: Vec<i64>, secs: StepSecs) -> Self {
        Self {
            modality: step.modality,
            step: step.step,
            seed: step.seed,
            visible: step.n_visible(config),
            visible_unconditional: step.guided.then_some(step.decoded.len()),
            positions: step.queries.iter().map(|&position| position as i64).collect(),
            tokens,
            shared_encoding: matches!(step.encoding, Encoding::Kept | Encoding::Joined),
            secs,
        }
    }
}

impl StepSecs {
    /// The whole step.
    pub fn total(&self) -> f64 {
        self.encoder + self.decoder + self.head + self.sampling
    }
}
