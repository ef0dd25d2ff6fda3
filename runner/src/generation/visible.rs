use egom2p_engine_core::{EngineError, Tensor};
use egom2p_model::Modality;

/// The tokens that a pass sees, in the order in which the encoder takes them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Visible {
    tokens: Vec<i64>,
    modality: Vec<i64>,
    position: Vec<i64>,
}

impl Visible {
    /// The decoded positions of every given modality, positions ascending.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = (Modality, &'a [Option<i64>])>) -> Self {
        let mut visible = Self::default();
        for (modality, tokens) in parts {
            for (position, token) in tokens.iter().enumerate() {
                if let Some(token) = token {
                    visible.tokens.push(*token);
                    visible.modality.push(modality.index() as i64);
                    visible.position.push(position as i64);
                }
            }
        }
        visible
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The encoder's inputs, batch 1, without pads.
    pub(crate) fn inputs(&self) -> Result<[(&'static str, Tensor); 4], EngineError> {
        let shape = [1, self.len()];
        Ok([
            ("tokens", Tensor::i64(shape, self.tokens.clone())?),
            ("modality", Tensor::i64(shape, self.modality.clone())?),
            ("position", Tensor::i64(shape, self.position.clone())?),
            ("visible_mask", Tensor::bool(shape, vec![true; self.len()])?),
        ])
    }
}
