use super::blocks::BlockMaxima;
use super::exponential::exponentials;
use crate::decoding::DecodingError;
use crate::decoding::guidance::mix;

/// The logits of a sampling call, `[queries, n_vocabulary]` row-major, with guidance where there are two passes.
///
/// Guidance inside the sampler mixes row by row while the row is in cache, so the mixed logits are never stored.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Logits<'a> {
    /// One pass, or logits that are mixed already.
    Plain(&'a [f32]),
    /// The published formula: `u + (c - u) * weight` on logits.
    Guided {
        /// Logits of the conditional pass.
        conditional: &'a [f32],
        /// Logits of the unconditional pass.
        unconditional: &'a [f32],
        /// Guidance weight.
        weight: f32,
    },
    /// The formula of the paper's Algorithm A.2: `p_u + (p_c - p_u) * weight` on probabilities, negative values set
    /// to 0, renormalised.
    GuidedProbabilities {
        /// Logits of the conditional pass.
        conditional: &'a [f32],
        /// Logits of the unconditional pass.
        unconditional: &'a [f32],
        /// Guidance weight.
        weight: f32,
    },
}

/// What mixing a row needs besides the row.
#[derive(Default, Debug)]
pub(super) struct Mixer {
    mixed: Vec<f32>,
    unconditional: Vec<f32>,
    maxima: BlockMaxima,
}

impl<'a> Logits<'a> {
    /// The number of rows; fails unless all values fill whole rows and both passes have the same size.
    pub(super) fn n_rows(&self, n_vocabulary: usize) -> Result<usize, DecodingError> {
        let n_values = match *self {
            Self::Plain(logits) => logits.len(),
            Self::Guided { conditional, unconditional, .. }
            | Self::GuidedProbabilities { conditional, unconditional, .. } => {
                if conditional.len() != unconditional.len() {
                    let (n_conditional, n_unconditional) = (conditional.len(), unconditional.len());
                    return Err(DecodingError::GuidanceShape { n_conditional, n_unconditional });
                }
                conditional.len()
            }
        };
        if n_vocabulary == 0 || !n_values.is_multiple_of(n_vocabulary) {
            return Err(DecodingError::LogitsShape { n_values, n_vocabulary });
        }
        Ok(n_values / n_vocabulary)
    }

    /// One row of logits, mixed into the mixer's memory where there is guidance.
    pub(super) fn row<'b>(
        &self,
        row: usize,
        n_vocabulary: usize,
        mixer: &'b mut Mixer,
    ) -> Result<&'b [f32], DecodingError>
    where
        'a: 'b,
    {
        let range = row * n_vocabulary..(row + 1) * n_vocabulary;
        match *self {
            Self::Plain(logits) => Ok(&logits[range]),
            Self::Guided { conditional, unconditional, weight } => {
                let passes = conditional[range.clone()].iter().zip(&unconditional[range]);
                mixer.mixed.clear();
                mixer
                    .mixed
                    .extend(passes.map(|(&conditional, &unconditional)| mix(conditional, unconditional, weight)));
                Ok(&mixer.mixed)
            }
            Self::GuidedProbabilities { conditional, unconditional, weight } => {
                mixer.mix_probabilities(&conditional[range.clone()], &unconditional[range], weight, row)
            }
        }
    }
}

impl Mixer {
    /// The logarithm of the mixed probabilities: logits of the same distribution.
    fn mix_probabilities(
        &mut self,
        conditional: &[f32],
        unconditional: &[f32],
        weight: f32,
        row: usize,
    ) -> Result<&[f32], DecodingError> {
        let mut probabilities = |logits: &[f32], weights: &mut Vec<f32>| {
            self.maxima.scan(logits, row)?;
            weights.clear();
            weights.extend_from_slice(logits);
            Ok(exponentials(weights, self.maxima.max()).recip() as f32)
        };
        let scale = probabilities(conditional, &mut self.mixed)?;
        let unconditional_scale = probabilities(unconditional, &mut self.unconditional)?;
        for (value, &unconditional) in self.mixed.iter_mut().zip(&self.unconditional) {
            *value = mix(*value * scale, unconditional * unconditional_scale, weight).max(0.0).ln();
        }
        Ok(&self.mixed)
    }
}
