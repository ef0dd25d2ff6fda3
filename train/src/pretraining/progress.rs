use crate::{ModalityLosses, Result, TrainError};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tch::{Kind, Tensor};

/// How far a training is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Steps made.
    pub steps: u64,
    /// Samples used; what a sample shows follows from its number among them.
    pub samples: u64,
    /// Tokens seen and asked for, pads left out. The schedule's unit is budgets instead.
    pub tokens: u64,
}

/// What a step did.
#[derive(Clone, PartialEq, Debug)]
pub struct StepReport {
    /// The step, counted from 0.
    pub step: u64,
    /// The loss that was differentiated, the mean over the passes.
    pub loss: f64,
    /// The mean cross-entropy over the targets of each modality, in the order of their index; `None` without targets.
    pub losses: [Option<f64>; 4],
    /// The norm of all gradients together before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Tokens seen and asked for, pads left out.
    pub n_tokens: u64,
    /// How long it took, the wait for samples included.
    pub duration_secs: f64,
}

/// What the passes of a step add up to.
#[derive(Default)]
pub(super) struct StepSums {
    pub(super) n_tokens: u64,
    loss: f64,
    losses: [f64; 4],
    n_targets: [usize; 4],
}

impl StepReport {
    /// Tokens per second.
    pub fn tokens_per_sec(&self) -> f64 {
        self.n_tokens as f64 / self.duration_secs
    }
}

impl StepSums {
    /// Adds the losses of a pass, which come from the device together, and gives the whole one.
    pub(super) fn add(&mut self, loss: &Tensor, losses: &ModalityLosses) -> Result<f64> {
        let scalars: Vec<Tensor> =
            std::iter::once(loss).chain(losses.losses.iter().flatten()).map(Tensor::detach).collect();
        let stacked = Tensor::f_stack(&scalars, 0).and_then(|stacked| stacked.f_to_kind(Kind::Double));
        let values = stacked.and_then(Vec::<f64>::try_from);
        let values = values.map_err(TrainError::operation("read the losses"))?;
        let mut rest = values[1..].iter();
        for (index, _) in losses.losses.iter().enumerate().filter(|(_, loss)| loss.is_some()) {
            let mean = rest.next().copied().unwrap_or(f64::NAN);
            self.losses[index] += mean * losses.n_targets[index] as f64;
            self.n_targets[index] += losses.n_targets[index];
        }
        self.loss += values[0];
        Ok(values[0])
    }

    /// The sums as numbers, which those of other ranks are added to.
    pub(super) fn numbers(&self) -> [f64; 10] {
        let [a, b, c, d] = self.losses;
        let [k, l, m, n] = self.n_targets.map(|n| n as f64);
        [self.n_tokens as f64, self.loss, a, b, c, d, k, l, m, n]
    }

    /// The sums of all ranks, each as [`numbers`](Self::numbers).
    pub(super) fn of_ranks(ranks: &[Vec<f64>]) -> Self {
        let sum = |place: usize| ranks.iter().filter_map(|numbers| numbers.get(place)).sum::<f64>();
        Self {
            n_tokens: sum(0) as u64,
            loss: sum(1),
            losses: [2, 3, 4, 5].map(sum),
            n_targets: [6, 7, 8, 9].map(|place| sum(place) as usize),
        }
    }

    pub(super) fn report(
        &self,
        step: u64,
        n_passes: usize,
        learning_rate: f64,
        gradient_norm: f64,
        duration: Duration,
    ) -> StepReport {
        let mean = |index: usize| {
            let n = self.n_targets[index];
            (n > 0).then(|| self.losses[index] / n as f64)
        };
        StepReport {
            step,
            loss: self.loss / n_passes as f64,
            losses: [0, 1, 2, 3].map(mean),
            gradient_norm,
            learning_rate,
            n_tokens: self.n_tokens,
            duration_secs: duration.as_secs_f64(),
        }
    }
}
