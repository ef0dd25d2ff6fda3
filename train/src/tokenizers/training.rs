use super::{CodebookUpdate, Peers, Result, TokenizerError, TokenizerSettings};
use crate::AdamW;
use crate::schedule::Schedule;
use tch::Tensor;

/// A tokenizer that [`TokenizerTraining`] can train.
pub trait Tokenizer {
    /// Encodes, quantises and decodes a batch of clips, with gradients.
    fn forward(&self, clips: &Tensor) -> Result<Forward>;

    /// Lets what is learned without gradients learn from a batch.
    fn learn_codes(&mut self, forward: &Forward, seed: u64, step: u64, peers: &dyn Peers) -> Result<CodebookUpdate>;

    /// What is learned by gradients, in the order of the names.
    fn trainable(&self) -> Vec<(&str, &Tensor)>;

    /// All that a weights file of this tokenizer holds, by published names, in their order.
    fn tensors(&self) -> Vec<(&str, &Tensor)>;
}

/// A batch that went through a tokenizer.
#[derive(Debug)]
pub struct Forward {
    /// The sum of the losses, an f32 scalar with a gradient.
    pub loss: Tensor,
    /// How far the decoded clips are from the clips.
    pub reconstruction: Tensor,
    /// How far the latents are from their codes; `None` without a codebook.
    pub commitment: Option<Tensor>,
    /// The decoded clips.
    pub decoded: Tensor,
    /// The tokens, i64.
    pub tokens: Tensor,
    /// What a codebook learns from.
    pub(super) lookup: Option<super::Lookup>,
}

/// What a step did.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TokenizerStep {
    /// The step, counted from 0.
    pub step: u64,
    /// The sum of the losses, the mean over the ranks.
    pub loss: f64,
    /// The part of it that is reconstruction.
    pub reconstruction: f64,
    /// The rate that parameters moved with.
    pub learning_rate: f64,
    /// The norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// What became of the codebook.
    pub codebook: CodebookUpdate,
}

/// A tokenizer with its optimiser and its place in the schedule.
#[derive(Debug)]
pub struct TokenizerTraining<T> {
    pub(super) tokenizer: T,
    pub(super) optimizer: AdamW,
    pub(super) n_steps: u64,
    schedule: Schedule,
    seed: u64,
}

impl<T: Tokenizer> TokenizerTraining<T> {
    /// A training of `tokenizer` on `n_clips` clips that has not begun.
    pub fn new(tokenizer: T, settings: &TokenizerSettings, n_clips: usize) -> Result<Self> {
        let schedule = settings.schedule(n_clips)?;
        let optimizer = AdamW::new(tokenizer.trainable(), settings.optimizer)?;
        Ok(Self { tokenizer, optimizer, n_steps: 0, schedule, seed: settings.seed })
    }

    /// The tokenizer as it is now.
    pub fn tokenizer(&self) -> &T {
        &self.tokenizer
    }

    /// How many steps were taken.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// The learning rate by step.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Takes a step on this rank's clips, at the same time as all other ranks. Where this fails, neither parameters nor codebook
    /// have moved, unless it is libtorch that fails while it moves them.
    pub fn step(&mut self, clips: &Tensor, peers: &dyn Peers) -> Result<TokenizerStep> {
        let step = self.n_steps;
        let forward = self.tokenizer.forward(clips)?;
        let [loss, reconstruction] = means([&forward.loss, &forward.reconstruction], peers)?;
        if !loss.is_finite() {
            return Err(TokenizerError::Loss { step, value: loss });
        }
        let (gradient_norm, codebook) = match self.learn(&forward, peers) {
            Ok(learned) => learned,
            Err(error) => {
                self.optimizer.clear_gradients()?;
                return Err(error);
            }
        };
        let learning_rate = self.schedule.learning_rate(step);
        self.optimizer.step_with_norm(learning_rate, gradient_norm)?;
        self.n_steps += 1;
        Ok(TokenizerStep { step, loss, reconstruction, learning_rate, gradient_norm, codebook })
    }

    /// Computes the gradients and moves the codes; gives the norm of the gradients.
    fn learn(&mut self, forward: &Forward, peers: &dyn Peers) -> Result<(f64, CodebookUpdate)> {
        let parameters: Vec<&Tensor> = self.tokenizer.trainable().into_iter().map(|(_, tensor)| tensor).collect();
        peers.backward(&forward.loss, &parameters)?;
        let norm = self.optimizer.gradient_norm()?;
        if !norm.is_finite() {
            return Err(TokenizerError::Gradient { step: self.n_steps, value: norm });
        }
        Ok((norm, self.tokenizer.learn_codes(forward, self.seed, self.n_steps, peers)?))
    }
}

/// The means of scalars over the ranks, so that all of them stop where one has a loss that is no number.
fn means(scalars: [&Tensor; 2], peers: &dyn Peers) -> Result<[f64; 2]> {
    let read = || TokenizerError::operation("read a loss");
    let [loss, reconstruction] = scalars.map(|scalar| scalar.f_double_value(&[]));
    let own = Tensor::f_from_slice(&[loss.map_err(read())?, reconstruction.map_err(read())?]).map_err(read())?;
    let sum = peers.sum(&own)?;
    let mean = |place: i64| sum.f_double_value(&[place]).map(|sum| sum / peers.n_ranks() as f64).map_err(read());
    Ok([mean(0)?, mean(1)?])
}
