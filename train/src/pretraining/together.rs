//! What the ranks of a pretraining do together. In one process, nothing is shared and nothing is waited for.

use super::progress::StepSums;
use super::{Pretraining, PretrainingError, SampleName, backward};
use crate::TrainError;
use crate::distributed::Ranks;
use serde_json::{Value, json};
use std::rc::Rc;
use tch::Tensor;

impl Pretraining {
    /// Makes this process one of several that train together; all of them do so before the first step and before
    /// [`restore`](Self::restore).
    ///
    /// The passes of a step are divided evenly over the ranks, each with a stream of its own. All ranks start from the
    /// parameters of rank 0, take every step together and hold the same parameters after it; gradients are averaged by
    /// c10d's engine. [`step`](Self::step), [`checkpoint`](Self::checkpoint), [`validate`](Self::validate) and
    /// [`restore`](Self::restore) are called on all ranks alike. Where a step fails on one rank it fails on all.
    ///
    /// # Errors
    /// The passes cannot be divided, a rank is lost, or ranks have other settings or sizes.
    pub fn join(mut self, ranks: Rc<Ranks>) -> Result<Self, PretrainingError> {
        let n_passes = self.settings.batch.samples / self.settings.batch.samples_per_pass;
        if !n_passes.is_multiple_of(ranks.n_ranks()) {
            return Err(PretrainingError::Division { n_passes, n_ranks: ranks.n_ranks() });
        }
        ranks.agree("model or settings", &json!([self.config, self.settings]).to_string())?;
        ranks.send(self.network.parameters().iter().map(|(_, tensor)| tensor))?;
        ranks.learn(self.network.trainable())?;
        self.ranks = Some(ranks);
        Ok(self)
    }

    /// How many processes train together.
    pub(super) fn n_ranks(&self) -> usize {
        self.ranks.as_deref().map_or(1, Ranks::n_ranks)
    }

    /// Whether this process writes what all of them have.
    pub(super) fn is_first(&self) -> bool {
        self.ranks.as_deref().is_none_or(Ranks::is_first)
    }

    /// This process's passes of a step.
    pub(super) fn n_passes(&self) -> usize {
        self.n_samples() / self.settings.batch.samples_per_pass
    }

    /// This process's samples of a step.
    pub(super) fn n_samples(&self) -> usize {
        self.settings.batch.samples / self.n_ranks()
    }

    /// The number of this process's first sample of the step among the samples of all processes.
    pub(super) fn first_sample(&self) -> u64 {
        let rank = self.ranks.as_deref().map_or(0, Ranks::rank);
        self.progress.samples + (rank * self.n_samples()) as u64
    }

    /// What this process found, where no other one failed.
    pub(super) fn of_all_ranks<T>(&self, own: Result<T, PretrainingError>) -> Result<T, PretrainingError> {
        let Some(ranks) = &self.ranks else { return own };
        if !ranks.any(own.is_err())? {
            return own;
        }
        let texts = ranks.gather_texts(&own.as_ref().err().map(ToString::to_string).unwrap_or_default())?;
        own?;
        let failed = texts.into_iter().enumerate().find(|(_, text)| !text.is_empty());
        let (rank, text) = failed.unwrap_or_default();
        Err(PretrainingError::OtherRank { rank, text })
    }

    /// Adds the gradients of this process's last loss and takes the mean over all ranks. A rank without targets takes part
    /// with a loss of zero, because the others wait for it.
    pub(super) fn average_gradients(&self, loss: Option<Tensor>) -> Result<(), PretrainingError> {
        match (&self.ranks, loss) {
            (None, None) => Ok(()),
            (None, Some(loss)) => Ok(backward(&loss)?),
            (Some(ranks), Some(loss)) => Ok(ranks.average_gradients(&loss)?),
            (Some(ranks), None) => {
                let smallest = self.network.trainable().map(|(_, tensor)| tensor).min_by_key(|tensor| tensor.numel());
                let Some(smallest) = smallest else { return Ok(()) };
                let zero = smallest.f_sum(tch::Kind::Float).and_then(|sum| sum.f_mul_scalar(0.0));
                Ok(ranks.average_gradients(&zero.map_err(TrainError::operation("make a loss of zero"))?)?)
            }
        }
    }

    /// Makes a step's sums those of all ranks.
    pub(super) fn add_up(&self, sums: &mut StepSums) -> Result<(), PretrainingError> {
        if let Some(ranks) = &self.ranks {
            *sums = StepSums::of_ranks(&ranks.gather_numbers(&sums.numbers())?);
        }
        Ok(())
    }

    /// The samples of a step, those of all ranks.
    pub(super) fn of_every_rank(&self, own: Vec<SampleName>) -> Result<Vec<SampleName>, PretrainingError> {
        let Some(ranks) = &self.ranks else { return Ok(own) };
        let own: Vec<(&str, &str)> = own.iter().map(|name| (name.dataset.as_str(), name.key.as_str())).collect();
        let mut samples = Vec::new();
        for text in ranks.gather_texts(&json!(own).to_string())? {
            let names: Vec<(String, String)> = serde_json::from_str(&text).unwrap_or_default();
            samples.extend(names.into_iter().map(|(dataset, key)| SampleName { dataset, key }));
        }
        Ok(samples)
    }

    /// Where the streams of all ranks are, by rank.
    pub(super) fn positions(&self) -> Result<Vec<Value>, PretrainingError> {
        let own = self.stream.position();
        let Some(ranks) = &self.ranks else { return Ok(vec![own]) };
        let texts = ranks.gather_texts(&own.to_string())?;
        // What is no JSON came from a rank that this one does not train together with.
        let positions = texts.iter().map(|text| serde_json::from_str(text));
        positions.collect::<Result<_, _>>().map_err(|error| PretrainingError::State {
            field: "position".to_owned(),
            stored: error.to_string(),
            expected: "that of every rank".to_owned(),
            mend: "start all ranks with the same release",
        })
    }
}
