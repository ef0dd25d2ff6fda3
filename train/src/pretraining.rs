//! Pretraining and post-training as a loop over a stream of samples (Algorithm A.1; specification sections 5.2 and 5.3).

mod error;
mod initial;
mod progress;
mod settings;
mod state;
mod together;
mod validation;

use crate::checkpoint::save;
use crate::data::{Sample, SampleStream};
use crate::distributed::Ranks;
use crate::{AdamW, Batch, BatchRow, Masking, Network, Result as TrainResult, Schedule, TrainError};
use egom2p_graph::Parameters;
use egom2p_model::ModelConfig;
use progress::StepSums;
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;
use tch::{Device, Tensor};

pub use error::{PretrainingError, SettingsError};
pub use initial::Initial;
pub use progress::{Progress, StepReport};
pub use settings::{BatchSettings, Initialization, PretrainingSettings, TrainingPrecision};
pub use validation::{TaskReport, Validation, ValidationReport};

/// A training of the main model, step by step. With the parameters of [`Initial`] it is pretraining; with those of trained
/// weights it is post-training.
///
/// What a step does follows from the settings, the parameters, the stream and the number of the step alone: a training
/// that [restores](Self::restore) a [checkpoint](Self::checkpoint) goes on as if it had never stopped, to the bit on a
/// CPU in single precision with one thread.
///
/// In one process, it makes all passes of a step. [`join`](Self::join) divides them over several: a training of as many
/// passes is then the same up to rounding, whatever the number of ranks, if their streams give the same samples.
pub struct Pretraining {
    settings: PretrainingSettings,
    config: ModelConfig,
    schedule: Schedule,
    masking: Masking,
    network: Network,
    optimizer: AdamW,
    stream: Box<dyn SampleStream>,
    device: Device,
    progress: Progress,
    validation: Option<Validation>,
    /// The processes that train together; `None` in one process.
    ranks: Option<Rc<Ranks>>,
    /// A step has used samples up and failed.
    interrupted: bool,
}

/// Where a sample is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SampleName {
    /// The name of its dataset.
    pub dataset: String,
    /// Its key in there.
    pub key: String,
}

impl Pretraining {
    /// A training that has made no step yet.
    pub fn new(
        settings: &PretrainingSettings,
        config: &ModelConfig,
        parameters: &dyn Parameters,
        stream: Box<dyn SampleStream>,
        device: Device,
    ) -> Result<Self, PretrainingError> {
        settings.validate()?;
        let network = Network::new(config, parameters, settings.precision.graph_precision(), device)?;
        let optimizer = AdamW::new(network.trainable(), settings.optimizer)?;
        Ok(Self {
            settings: settings.clone(),
            config: config.clone(),
            schedule: settings.schedule(),
            masking: Masking::new(&settings.masking, config, settings.seed),
            network,
            optimizer,
            stream,
            device,
            progress: Progress::default(),
            validation: None,
            ranks: None,
            interrupted: false,
        })
    }

    /// The same training with [`Network::checkpointed`]: less memory for more time, the same parameters.
    #[must_use]
    pub fn checkpointed(self) -> Self {
        Self { network: self.network.checkpointed(), ..self }
    }

    /// Makes the next step, or gives `None` where the schedule is at its end.
    ///
    /// Where a loss or a gradient is not finite, or the stream fails, no parameter moves, and the training only goes on
    /// after [`restore`](Self::restore).
    pub fn step(&mut self) -> Result<Option<StepReport>, PretrainingError> {
        if self.interrupted {
            return Err(PretrainingError::Interrupted);
        }
        if self.progress.steps >= self.schedule.total_steps {
            return Ok(None);
        }
        self.interrupted = true;
        let report = self.whole_step()?;
        self.interrupted = false;
        Ok(Some(report))
    }

    /// Gives the training tasks to be evaluated on; checkpoints hold what was best.
    pub fn set_validation(&mut self, validation: Validation) {
        self.validation = Some(validation);
    }

    /// Evaluates the network as it stands; `None` without [`set_validation`](Self::set_validation). Several ranks divide the
    /// samples, and report the same.
    ///
    /// Where a folder is given, a checkpoint for every task that improved is the only one in its folder `best-TARGET`
    /// afterwards; of several ranks, the first writes it.
    pub fn validate(&mut self, best: Option<&Path>) -> Result<Option<ValidationReport>, PretrainingError> {
        let Some(validation) = &mut self.validation else { return Ok(None) };
        let report = validation.evaluate_together(&self.network, self.progress.steps, self.ranks.as_deref())?;
        if let Some(folder) = best {
            for task in report.tasks.iter().filter(|task| task.improved) {
                let checkpoint = self.checkpoint()?;
                if self.is_first() {
                    save(&folder.join(format!("best-{}", task.target)), &checkpoint, 1)?;
                }
            }
        }
        Ok(Some(report))
    }

    /// The network as it stands.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What has been done so far.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The learning rates of the training and its length.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn whole_step(&mut self) -> Result<StepReport, PretrainingError> {
        let start = Instant::now();
        let (step, learning_rate) = (self.progress.steps, self.schedule.learning_rate(self.progress.steps));
        let mut sums = StepSums::default();
        let mut samples = Vec::with_capacity(self.n_samples());
        let last = self.passes(&mut sums, &mut samples);
        let last = self.of_all_ranks(last)?;
        self.average_gradients(last)?;
        self.add_up(&mut sums)?;
        let gradient_norm = self.optimizer.gradient_norm()?;
        if !gradient_norm.is_finite() {
            let samples = self.of_every_rank(samples)?;
            return Err(PretrainingError::NotFinite { what: "the gradient norm", step, value: gradient_norm, samples });
        }
        self.optimizer.step_with_norm(learning_rate, gradient_norm)?;
        self.progress.steps += 1;
        self.progress.samples += self.settings.batch.samples as u64;
        self.progress.tokens += sums.n_tokens;
        let n_passes = self.n_passes() * self.n_ranks();
        Ok(sums.report(step, n_passes, learning_rate, gradient_norm, start.elapsed()))
    }

    /// Makes this process's passes of a step but for the gradients of the last one, whose loss is given back; `None` where it
    /// has no targets.
    fn passes(
        &mut self,
        sums: &mut StepSums,
        samples: &mut Vec<SampleName>,
    ) -> Result<Option<Tensor>, PretrainingError> {
        let n_passes = self.n_passes();
        let mut last = None;
        for pass in 0..n_passes {
            let batch = self.next_batch(samples)?;
            let of_pass = &samples[pass * self.settings.batch.samples_per_pass..];
            sums.n_tokens += batch.n_tokens() as u64;
            if !batch.has_targets() {
                continue;
            }
            let losses = self.network.losses(&batch)?;
            let Some(loss) = losses.total(self.settings.loss)? else { continue };
            let value = sums.add(&loss, &losses)?;
            if !value.is_finite() {
                let (step, samples) = (self.progress.steps, of_pass.to_vec());
                return Err(PretrainingError::NotFinite { what: "the loss", step, value, samples });
            }
            let share = loss.f_mul_scalar(1.0 / n_passes as f64);
            let share = share.map_err(TrainError::operation("divide a loss"))?;
            if pass + 1 == n_passes {
                last = Some(share);
            } else {
                backward(&share)?;
            }
        }
        Ok(last)
    }

    /// The samples of one pass, masked; their names are added to the list.
    fn next_batch(&mut self, names: &mut Vec<SampleName>) -> Result<Batch, PretrainingError> {
        let n = self.settings.batch.samples_per_pass;
        let first = names.len();
        let mut rows: Vec<BatchRow> = Vec::with_capacity(n);
        for _ in 0..n {
            let Sample { key, dataset, tokens } = self.stream.next_sample()?;
            let name = SampleName { dataset: self.stream.dataset_name(dataset), key };
            let row = self.masking.mask(&tokens, self.first_sample() + names.len() as u64);
            rows.push(row.map_err(|error| PretrainingError::Sample { sample: name.clone(), error })?);
            names.push(name);
        }
        Batch::new(&self.config, &rows, self.device)
            .map_err(|error| PretrainingError::Batch { samples: names[first..].to_vec(), error })
    }
}

impl fmt::Debug for Pretraining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pretraining")
            .field("settings", &self.settings)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SampleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.key, self.dataset)
    }
}

/// Adds the gradients of a loss to those of the step.
fn backward(loss: &Tensor) -> TrainResult<()> {
    loss.f_backward().map_err(TrainError::operation("compute gradients"))
}
