use crate::pretraining::SettingsError;
use egom2p_model::Modality;
use serde::{Deserialize, Serialize};

/// How many tokens a sample shows and asks for, and how they spread over its modalities.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskingSettings {
    /// Visible tokens of a sample, before the modalities' own lengths cut them.
    pub visible_tokens: usize,
    /// Targets of a sample, before the modalities' own lengths and what is visible cut them.
    pub target_tokens: usize,
    /// One Dirichlet distribution each, drawn with equal probability per sample: small values give a sample's tokens to few
    /// modalities, large ones to all.
    pub alphas: Vec<f64>,
    /// What alpha is multiplied by for what is visible. With equal weights, as published, the distributions are symmetric; a
    /// post-training for tasks lets RGB be seen more than the rest.
    pub visible_weights: ModalityWeights,
    /// What alpha is multiplied by for the targets.
    pub target_weights: ModalityWeights,
}

/// A weight of every modality: 0 leaves it out, otherwise from 0.001 to 1000.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModalityWeights {
    /// Of the camera trajectory.
    pub camera: f64,
    /// Of depth video.
    pub depth: f64,
    /// Of gaze.
    pub gaze: f64,
    /// Of colour video.
    pub rgb: f64,
}

impl ModalityWeights {
    /// All the same.
    pub const EQUAL: Self = Self { camera: 1.0, depth: 1.0, gaze: 1.0, rgb: 1.0 };

    /// The weights in the order of [`Modality::index`].
    pub fn by_index(&self) -> [f64; 4] {
        Modality::ALL.map(|modality| match modality {
            Modality::Camera => self.camera,
            Modality::Depth => self.depth,
            Modality::Gaze => self.gaze,
            Modality::Rgb => self.rgb,
        })
    }

    fn validate(&self, field: &'static str) -> Result<(), SettingsError> {
        let weights = self.by_index();
        for weight in weights {
            let is_legal = weight == 0.0 || (1e-3..=1e3).contains(&weight);
            SettingsError::unless(is_legal, field, weight, "0, or from 0.001 to 1000")?;
        }
        let is_any = weights.iter().any(|&weight| weight > 0.0);
        SettingsError::unless(is_any, field, "all 0", "a positive weight of one modality at least")
    }
}

impl MaskingSettings {
    /// The largest budget.
    const MAX_TOKENS: usize = 1 << 20;

    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        for (field, tokens) in
            [("masking.visible_tokens", self.visible_tokens), ("masking.target_tokens", self.target_tokens)]
        {
            SettingsError::unless((1..=Self::MAX_TOKENS).contains(&tokens), field, tokens, "from 1 to 1048576")?;
        }
        let alphas = &self.alphas;
        SettingsError::unless(!alphas.is_empty(), "masking.alphas", "an empty list", "at least one alpha")?;
        for &alpha in alphas {
            SettingsError::unless((1e-3..=1e6).contains(&alpha), "masking.alphas", alpha, "from 0.001 to 1000000")?;
        }
        self.visible_weights.validate("masking.visible_weights")?;
        self.target_weights.validate("masking.target_weights")
    }
}
