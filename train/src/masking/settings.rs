use crate::pretraining::SettingsError;
use serde::{Deserialize, Serialize};

/// How many tokens a sample shows and asks for, and how they spread over its modalities.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskingSettings {
    /// Visible tokens of a sample, before the modalities' own lengths cut them.
    pub visible_tokens: usize,
    /// Targets of a sample, before the modalities' own lengths and what is visible cut them.
    pub target_tokens: usize,
    /// One symmetric Dirichlet distribution each, drawn with equal probability per sample: small values give a sample's
    /// tokens to few modalities, large ones to all.
    pub alphas: Vec<f64>,
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
        Ok(())
    }
}
