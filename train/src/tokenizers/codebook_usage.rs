use super::{Result, TokenizerError};
use crate::TrainError;
use tch::Tensor;

/// How often each code is used, over any number of batches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodebookUsage {
    counts: Vec<u64>,
}

impl CodebookUsage {
    /// Nothing used yet.
    pub fn new(n_codes: usize) -> Self {
        Self { counts: vec![0; n_codes] }
    }

    /// Counts tokens, i64 of any shape.
    pub fn add(&mut self, tokens: &Tensor) -> Result<()> {
        let flat = tokens.f_flatten(0, -1).and_then(|flat| Vec::<i64>::try_from(&flat));
        let limit = self.counts.len();
        for got in flat.map_err(TokenizerError::operation("count tokens"))? {
            let count = usize::try_from(got).ok().and_then(|token| self.counts.get_mut(token));
            *count.ok_or(TrainError::Range { modality: "clip", what: "token", got, limit })? += 1;
        }
        Ok(())
    }

    /// The share of codes that are used at all.
    pub fn used_share(&self) -> f64 {
        self.counts.iter().filter(|&&count| count > 0).count() as f64 / self.counts.len() as f64
    }

    /// How many codes, used equally, would be as hard to guess: the exponential of the entropy.
    pub fn perplexity(&self) -> f64 {
        let total = self.counts.iter().sum::<u64>() as f64;
        let shares = self.counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / total);
        (-shares.map(|share| share * share.ln()).sum::<f64>()).exp()
    }
}
