use super::PretrainingError;
use super::state::quoted;
use crate::data::Sample;
use crate::distributed::Ranks;
use crate::{Batch, BatchRow, Network, Selection};
use egom2p_model::{Modality, ModelConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tch::Device;

/// Losses of fixed tasks on fixed samples: from all of RGB to all of another modality. Remembers the best of each.
#[derive(Debug)]
pub struct Validation {
    config: ModelConfig,
    device: Device,
    samples_per_pass: usize,
    tasks: Vec<Task>,
}

/// What an evaluation found.
#[derive(Clone, PartialEq, Debug)]
pub struct ValidationReport {
    /// Steps of the training that were made before.
    pub step: u64,
    /// The tasks, in the order of their targets' index.
    pub tasks: Vec<TaskReport>,
}

/// What an evaluation found about a task.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskReport {
    /// What is predicted from RGB.
    pub target: Modality,
    /// The mean cross-entropy over all tokens of the held-out samples.
    pub held_out: f64,
    /// The same for the training's samples; `None` where none has both modalities.
    pub trained: Option<f64>,
    /// The same for the held-out samples, each with the RGB of the next one; `None` where there is but one. What the model
    /// has learned of RGB is the difference to `held_out`: where it stays 0, the encoder says the same of every clip, as it
    /// does after too high a learning rate.
    pub exchanged: Option<f64>,
    /// The best held-out loss so far, this one included.
    pub best: f64,
    /// Where it was.
    pub best_step: u64,
    /// Whether this evaluation is the best one.
    pub improved: bool,
    /// Since the best evaluation, the loss has fallen on the training's samples and risen on those held out.
    pub overfitting: bool,
}

#[derive(Debug)]
struct Task {
    target: Modality,
    held_out: Vec<BatchRow>,
    exchanged: Vec<BatchRow>,
    trained: Vec<BatchRow>,
    best: Option<Best>,
}

/// The best evaluation of every task, by the name of its target.
pub(super) type Bests = BTreeMap<String, Option<Best>>;

/// The best evaluation of a task.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Best {
    step: u64,
    held_out: f64,
    trained: Option<f64>,
}

impl Validation {
    /// Tasks to every modality that a held-out sample has beside RGB. `trained` are a few samples of the training's own
    /// data, for comparison.
    pub fn new(
        config: &ModelConfig,
        held_out: &[Sample],
        trained: &[Sample],
        samples_per_pass: usize,
        device: Device,
    ) -> Result<Self, PretrainingError> {
        let rows = |samples: &[Sample], target| samples.iter().filter_map(|sample| row(sample, target)).collect();
        let task = |target| {
            let held_out: Vec<BatchRow> = rows(held_out, target);
            Task { target, exchanged: exchanged(&held_out), held_out, trained: rows(trained, target), best: None }
        };
        let targets = Modality::ALL.into_iter().filter(|&modality| modality != Modality::Rgb);
        let tasks: Vec<Task> = targets.map(task).filter(|task| !task.held_out.is_empty()).collect();
        if tasks.is_empty() {
            return Err(PretrainingError::NoTask);
        }
        Ok(Self { config: config.clone(), device, samples_per_pass: samples_per_pass.max(1), tasks })
    }

    /// Evaluates a network after so many steps of its training.
    pub fn evaluate(&mut self, network: &Network, step: u64) -> Result<ValidationReport, PretrainingError> {
        self.evaluate_together(network, step, None)
    }

    /// As [`evaluate`](Self::evaluate), with the passes divided over ranks that have the same samples and parameters.
    pub(super) fn evaluate_together(
        &mut self,
        network: &Network,
        step: u64,
        ranks: Option<&Ranks>,
    ) -> Result<ValidationReport, PretrainingError> {
        let mut reports = Vec::with_capacity(self.tasks.len());
        for index in 0..self.tasks.len() {
            let Task { target, held_out, exchanged, trained, .. } = &self.tasks[index];
            let loss = |rows: &[BatchRow]| self.loss(network, rows, *target, ranks);
            let some = |rows: &[BatchRow]| if rows.is_empty() { Ok(None) } else { loss(rows).map(Some) };
            let now = Best { step, held_out: loss(held_out)?, trained: some(trained)? };
            let exchanged = some(exchanged)?;
            reports.push(TaskReport { exchanged, ..self.tasks[index].report(now) });
        }
        Ok(ValidationReport { step, tasks: reports })
    }

    /// The best evaluations, as JSON.
    pub(super) fn state(&self) -> serde_json::Value {
        let bests: Bests = self.tasks.iter().map(|task| (task.target.name().to_owned(), task.best)).collect();
        serde_json::json!(bests)
    }

    /// The best evaluations that were stored, which must be of the same tasks.
    pub(super) fn matching_bests(&self, state: &serde_json::Value) -> Result<Bests, PretrainingError> {
        let refuse = |stored: &str, expected: String| PretrainingError::State {
            field: "validation".to_owned(),
            stored: quoted(stored),
            expected,
            mend: "resume with the validation samples of the checkpoint",
        };
        let bests = Bests::deserialize(state);
        let bests =
            bests.map_err(|error| refuse(&error.to_string(), "the best evaluation of every task".to_owned()))?;
        let names: Vec<&str> = self.tasks.iter().map(|task| task.target.name()).collect();
        if bests.len() != names.len() || names.iter().any(|name| !bests.contains_key(*name)) {
            let stored: Vec<&str> = bests.keys().map(String::as_str).collect();
            return Err(refuse(&stored.join(", "), names.join(", ")));
        }
        Ok(bests)
    }

    pub(super) fn set_bests(&mut self, mut bests: Bests) {
        for task in &mut self.tasks {
            task.best = bests.remove(task.target.name()).flatten();
        }
    }

    /// The mean cross-entropy over all targets of some samples.
    fn loss(
        &self,
        network: &Network,
        rows: &[BatchRow],
        target: Modality,
        ranks: Option<&Ranks>,
    ) -> Result<f64, PretrainingError> {
        let _no_gradient = tch::no_grad_guard();
        let (first, stride) = ranks.map_or((0, 1), |ranks| (ranks.rank(), ranks.n_ranks()));
        let (mut sum, mut n_targets) = (0.0, 0);
        for rows in rows.chunks(self.samples_per_pass).skip(first).step_by(stride) {
            let losses = network.losses(&Batch::new(&self.config, rows, self.device)?)?;
            let n = losses.n_targets[target.index()];
            sum += losses.value(target)? * n as f64;
            n_targets += n;
        }
        let Some(ranks) = ranks else { return Ok(sum / n_targets as f64) };
        let sums = ranks.gather_numbers(&[sum, n_targets as f64])?;
        let total = |place: usize| sums.iter().map(|numbers| numbers[place]).sum::<f64>();
        Ok(total(0) / total(1))
    }
}

impl Task {
    fn report(&mut self, now: Best) -> TaskReport {
        let better = self.best.is_none_or(|best| now.held_out < best.held_out);
        let improved = better && now.held_out.is_finite();
        let overfitting = self.best.is_some_and(|best| {
            now.held_out > best.held_out && now.trained.zip(best.trained).is_some_and(|(now, best)| now < best)
        });
        if improved {
            self.best = Some(now);
        }
        let best = self.best.unwrap_or(now);
        TaskReport {
            target: self.target,
            held_out: now.held_out,
            trained: now.trained,
            exchanged: None,
            best: best.held_out,
            best_step: best.step,
            improved,
            overfitting,
        }
    }
}

/// All of RGB, and all of another modality to predict; `None` where the sample lacks one of them.
fn row(sample: &Sample, target: Modality) -> Option<BatchRow> {
    let whole = |modality: Modality| {
        let tokens = sample.tokens[modality.index()].clone()?;
        Some(vec![Selection { modality, positions: (0..tokens.len() as i64).collect(), tokens }])
    };
    Some(BatchRow { visible: whole(Modality::Rgb)?, targets: whole(target)? })
}

/// The targets of every row beside what is visible of the next one.
fn exchanged(rows: &[BatchRow]) -> Vec<BatchRow> {
    if rows.len() < 2 {
        return Vec::new();
    }
    let next = rows.iter().cycle().skip(1);
    let pairs = rows.iter().zip(next);
    pairs.map(|(row, next)| BatchRow { visible: next.visible.clone(), targets: row.targets.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Best, Task};
    use egom2p_model::Modality;

    fn task() -> Task {
        Task { target: Modality::Camera, held_out: vec![], exchanged: vec![], trained: vec![], best: None }
    }

    /// Whether each of these evaluations (held out, trained) is an improvement, and whether it shows overfitting.
    fn verdicts(evaluations: &[(f64, Option<f64>)]) -> Vec<(bool, bool)> {
        let mut task = task();
        let best =
            |(step, &(held_out, trained)): (usize, &(f64, Option<f64>))| Best { step: step as u64, held_out, trained };
        let reports = evaluations.iter().enumerate().map(|evaluation| task.report(best(evaluation)));
        reports.map(|report| (report.improved, report.overfitting)).collect()
    }

    #[test]
    fn the_best_is_the_lowest_held_out_loss() {
        let evaluations = [(2.0, None), (1.5, None), (1.5, None), (1.6, None), (1.4, None)];
        assert_eq!(
            verdicts(&evaluations).iter().map(|verdict| verdict.0).collect::<Vec<_>>(),
            [true, true, false, false, true]
        );
        let mut task = task();
        task.report(Best { step: 3, held_out: 1.0, trained: None });
        let report = task.report(Best { step: 9, held_out: 1.2, trained: None });
        assert_eq!(
            (report.held_out.to_bits(), report.best.to_bits(), report.best_step),
            (1.2_f64.to_bits(), 1_f64.to_bits(), 3)
        );
    }

    #[test]
    fn overfitting_is_falling_on_one_side_and_rising_on_the_other() {
        let falls = [(2.0, Some(1.8)), (1.8, Some(1.6)), (1.9, Some(1.5))];
        assert_eq!(verdicts(&falls), [(true, false), (true, false), (false, true)]);
        // A training that gets worse everywhere does not overfit.
        assert_eq!(verdicts(&[(1.8, Some(1.6)), (1.9, Some(1.7))])[1], (false, false));
        assert_eq!(verdicts(&[(1.8, None), (1.9, None)])[1], (false, false));
    }

    #[test]
    fn no_number_is_never_the_best() {
        assert_eq!(verdicts(&[(f64::NAN, None), (f64::INFINITY, None), (3.0, None)]).last(), Some(&(true, false)));
        assert!(!verdicts(&[(f64::NAN, None)])[0].0);
    }
}
