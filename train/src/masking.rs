//! Which tokens of a sample are visible, and which are asked for (Algorithm A.1; specification section 5.2).

mod budgets;
mod settings;

use crate::random::Random;
use crate::{BatchRow, Selection};
use egom2p_model::{Modality, ModelConfig};

pub use budgets::Budgets;
pub use settings::{MaskingSettings, ModalityWeights};

/// Draws what is visible and what is a target, from a seed and the number of a sample alone.
#[derive(Clone, Debug)]
pub struct Masking {
    settings: MaskingSettings,
    n_tokens: [usize; 4],
    seed: u64,
}

/// Tokens that cannot be masked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MaskingError {
    /// A sample of nothing.
    #[error("the sample has tokens of no modality\ngive every dataset at least one modality")]
    NoModality,
    /// A clip of another length.
    #[error("expected {expected} {modality} tokens, got {actual}\nuse tokens of this preset's tokenizer")]
    Length {
        /// The modality.
        modality: &'static str,
        /// Tokens of a clip of the model.
        expected: usize,
        /// Tokens of this one.
        actual: usize,
    },
}

impl Masking {
    /// Masking of clips of a model by checked settings.
    pub fn new(settings: &MaskingSettings, config: &ModelConfig, seed: u64) -> Self {
        Self { settings: settings.clone(), n_tokens: Modality::ALL.map(|modality| config.n_tokens(modality)), seed }
    }

    /// The budgets that sample number `index` gets if it has these modalities; all 0 if it has none.
    pub fn budgets(&self, present: [bool; 4], index: u64) -> Budgets {
        self.draw_budgets(present, &mut self.random(index))
    }

    /// Masks the tokens of sample number `index` (in the order of [`Modality::index`], `None` where the sample lacks one).
    ///
    /// Of every modality, as many tokens as its budgets say are visible and others are targets, both at random.
    pub fn mask(&self, tokens: &[Option<Vec<i64>>; 4], index: u64) -> Result<BatchRow, MaskingError> {
        self.check(tokens)?;
        let mut random = self.random(index);
        let present = [0, 1, 2, 3].map(|modality| tokens[modality].is_some());
        let budgets = self.draw_budgets(present, &mut random);
        let mut row = BatchRow::default();
        for modality in Modality::ALL {
            let Some(ids) = &tokens[modality.index()] else { continue };
            let (n_visible, n_targets) = (budgets.visible[modality.index()], budgets.targets[modality.index()]);
            let chosen = first_of_permutation(ids.len(), n_visible + n_targets, &mut random);
            let (visible, targets) = chosen.split_at(n_visible);
            let parts = [(&mut row.visible, visible), (&mut row.targets, targets)];
            for (selections, places) in parts.into_iter().filter(|(_, places)| !places.is_empty()) {
                selections.push(selection(modality, ids, places));
            }
        }
        Ok(row)
    }

    fn random(&self, index: u64) -> Random {
        Random::new(self.seed, "masking", index)
    }

    fn draw_budgets(&self, present: [bool; 4], random: &mut Random) -> Budgets {
        let alpha = self.settings.alphas[random.below(self.settings.alphas.len())];
        let MaskingSettings { visible_tokens, target_tokens, visible_weights, target_weights, .. } = self.settings;
        let alphas = [visible_weights, target_weights].map(|weights| weights.by_index().map(|weight| weight * alpha));
        Budgets::draw(alphas, [visible_tokens, target_tokens], &self.n_tokens, present, random)
    }

    fn check(&self, tokens: &[Option<Vec<i64>>; 4]) -> Result<(), MaskingError> {
        if tokens.iter().all(Option::is_none) {
            return Err(MaskingError::NoModality);
        }
        for modality in Modality::ALL {
            let (expected, tokens) = (self.n_tokens[modality.index()], &tokens[modality.index()]);
            if let Some(actual) = tokens.as_ref().map(Vec::len).filter(|&actual| actual != expected) {
                return Err(MaskingError::Length { modality: modality.name(), expected, actual });
            }
        }
        Ok(())
    }
}

/// The first `n` of a random permutation of `0..length`.
fn first_of_permutation(length: usize, n: usize, random: &mut Random) -> Vec<usize> {
    let mut places: Vec<usize> = (0..length).collect();
    for place in 0..n {
        places.swap(place, place + random.below(length - place));
    }
    places.truncate(n);
    places
}

fn selection(modality: Modality, ids: &[i64], places: &[usize]) -> Selection {
    let mut positions = places.to_vec();
    positions.sort_unstable();
    let tokens = positions.iter().map(|&place| ids[place]).collect();
    Selection { modality, positions: positions.into_iter().map(|place| place as i64).collect(), tokens }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests;
