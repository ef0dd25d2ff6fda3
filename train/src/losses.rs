use crate::{Result, TrainError};
use egom2p_model::Modality;
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// How the losses of the modalities become one (specification section 1.8).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// The mean over the modalities; one without targets counts as 0. The published choice.
    #[default]
    Mod,
    /// Weighted by the number of logits, which is targets times vocabulary.
    Token,
    /// As `Mod`, each divided by the logarithm of its vocabulary and multiplied by that of 256.
    WeightedMod,
}

/// Cross-entropies of the modalities, in the order of their index.
#[derive(Debug)]
pub struct ModalityLosses {
    /// The mean cross-entropy over the targets, f32 scalars; `None` for a modality without targets.
    pub losses: [Option<Tensor>; 4],
    /// Targets of each.
    pub n_targets: [usize; 4],
    /// Vocabulary of each.
    pub vocabulary: [usize; 4],
}

impl LossKind {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mod => "mod",
            Self::Token => "token",
            Self::WeightedMod => "weighted_mod",
        }
    }

    fn weight(self, n_targets: usize, vocabulary: usize, total: f64) -> f64 {
        match self {
            Self::Mod => 0.25,
            Self::Token => n_targets as f64 * vocabulary as f64 / total,
            Self::WeightedMod => 0.25 * 256_f64.ln() / (vocabulary as f64).ln(),
        }
    }
}

impl ModalityLosses {
    /// The loss of a batch, an f32 scalar; `None` where nothing has a target.
    pub fn total(&self, kind: LossKind) -> Result<Option<Tensor>> {
        let sizes = || self.n_targets.iter().zip(self.vocabulary);
        let total: f64 = sizes().map(|(&n, vocabulary)| n as f64 * vocabulary as f64).sum();
        let sum = || -> Result<Option<Tensor>, TchError> {
            let mut sum: Option<Tensor> = None;
            for (loss, (&n, vocabulary)) in self.losses.iter().zip(sizes()) {
                let Some(loss) = loss else { continue };
                let weighted = loss.f_mul_scalar(kind.weight(n, vocabulary, total))?;
                sum = Some(match sum {
                    Some(sum) => sum.f_add(&weighted)?,
                    None => weighted,
                });
            }
            Ok(sum)
        };
        sum().map_err(TrainError::operation("add up the loss"))
    }

    /// The cross-entropy of a modality as a number; 0 without targets, as published.
    pub fn value(&self, modality: Modality) -> Result<f64> {
        match &self.losses[modality.index()] {
            Some(loss) => loss
                .f_to_kind(Kind::Double)
                .and_then(|loss| loss.f_double_value(&[]))
                .map_err(TrainError::operation("read a loss")),
            None => Ok(0.0),
        }
    }
}
