//! Sampling from logits without sorting the vocabulary (specification section 4.3, item 6).
//!
//! A draw is the arg-max of probability over exponential noise among the survivors of top-k and nucleus. Only survivors
//! near the maximum can win, so a row costs one reading for its block maxima, as much of the softmax normaliser as the
//! decision about the nucleus needs, and a selection among the few entries that remain; each of those costs one access
//! to the noise. The survivors are those of the published sort, up to rounding where the mass before an entry is
//! within rounding of the nucleus.

mod blocks;
mod exponential;
mod logits;
#[cfg(test)]
mod reference;
mod row;
mod settings;

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread;

use egom2p_kernels::SampleArguments;

use super::{DecodingError, ExponentialNoise};
use logits::Mixer;
use row::RowSampler;
use settings::Filters;

pub use logits::Logits;
pub use settings::{SamplerSettings, TopK};

/// Draws tokens from rows of logits. The result depends on neither the number of threads nor how rows are split into
/// calls.
#[derive(Clone, Debug)]
pub struct Sampler {
    filters: Filters,
    n_vocabulary: usize,
    n_threads: NonZeroUsize,
    with_probabilities: bool,
}

/// A drawn token.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Draw {
    /// The token.
    pub token: i64,
    /// Its probability among the survivors at the sampling temperature (for arg-max: among all, at temperature 1), if
    /// asked for.
    pub probability: Option<f32>,
}

impl Sampler {
    /// A sampler for rows of `n_vocabulary` logits on up to `n_threads` threads; fails where a setting is out of range.
    pub fn new(
        settings: &SamplerSettings,
        n_vocabulary: usize,
        n_threads: NonZeroUsize,
    ) -> Result<Self, DecodingError> {
        let filters = settings.filters(n_vocabulary)?;
        Ok(Self { filters, n_vocabulary, n_threads, with_probabilities: false })
    }

    /// The same sampler, which also gives the probability of each drawn token.
    #[must_use]
    pub fn with_probabilities(self) -> Self {
        Self { with_probabilities: true, ..self }
    }

    /// One draw per row of `logits`, which are the queries `first_query..` of a step: query q reads its noise from
    /// `q * n_vocabulary` on. Fails where the sizes do not fit, a logit is NaN or infinity, or a row has no finite logit.
    pub fn sample(
        &self,
        logits: Logits<'_>,
        noise: &ExponentialNoise,
        first_query: usize,
    ) -> Result<Vec<Draw>, DecodingError> {
        let n_rows = logits.n_rows(self.n_vocabulary)?;
        let mut draws = vec![Draw::default(); n_rows];
        let n_per_thread = n_rows.div_ceil(self.n_threads.get()).max(1);
        let sample_rows = |first_row: usize, draws: &mut [Draw]| {
            let mut mixer = Mixer::default();
            let mut sampler = RowSampler::new(self.filters);
            for (row, draw) in (first_row..).zip(draws) {
                let logits = logits.row(row, self.n_vocabulary, &mut mixer)?;
                let noise_start = (first_query as u64 + row as u64).wrapping_mul(self.n_vocabulary as u64);
                *draw = sampler.draw(logits, row, &noise.starting_at(noise_start), self.with_probabilities)?;
            }
            Ok(())
        };
        if n_per_thread >= n_rows {
            sample_rows(0, &mut draws)?;
            return Ok(draws);
        }
        thread::scope(|scope| {
            let sample_rows = &sample_rows;
            let parts = draws.chunks_mut(n_per_thread).enumerate();
            let threads: Vec<_> =
                parts.map(|(part, draws)| scope.spawn(move || sample_rows(part * n_per_thread, draws))).collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            results.collect::<Result<(), DecodingError>>()
        })?;
        Ok(draws)
    }

    /// What the sampling kernel is told to draw the same tokens, from rows that are the queries `first_query..` of a step;
    /// `None` for a vocabulary that the kernel does not take.
    pub fn arguments(&self, noise: &ExponentialNoise, first_query: usize) -> Option<SampleArguments> {
        let Filters { temperature, top_p, top_k } = self.filters;
        SampleArguments::new(
            self.n_vocabulary,
            temperature.map_or(0.0, f64::from),
            top_p.unwrap_or(0.0),
            top_k.unwrap_or(0),
            noise.first(),
            first_query as u64,
        )
    }

    /// The tokens of one row of logits that survive top-k and nucleus, ascending (all finite ones where both are off).
    pub fn kept(&self, logits: &[f32]) -> Result<Vec<usize>, DecodingError> {
        if logits.len() != self.n_vocabulary {
            let (n_values, n_vocabulary) = (logits.len(), self.n_vocabulary);
            return Err(DecodingError::LogitsShape { n_values, n_vocabulary });
        }
        RowSampler::new(self.filters).kept(logits, 0)
    }
}
