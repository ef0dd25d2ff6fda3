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
    /// What stands at these places of the tokens of every modality, by its index.
    pub(crate) fn of(places: impl IntoIterator<Item = (Modality, usize)>, tokens: &[Vec<i64>]) -> Self {
        let mut visible = Self::default();
        for (modality, position) in places {
            visible.tokens.push(tokens[modality.index()][position]);
            visible.modality.push(modality.index() as i64);
            visible.position.push(position as i64);
        }
        visible
    }

    /// The encoder's inputs, batch 1, without pads.
    pub(crate) fn inputs(self) -> Result<[(&'static str, Tensor); 4], EngineError> {
        let n_visible = self.tokens.len();
        let shape = [1, n_visible];
        Ok([
            ("tokens", Tensor::i64(shape, self.tokens)?),
            ("modality", Tensor::i64(shape, self.modality)?),
            ("position", Tensor::i64(shape, self.position)?),
            ("visible_mask", Tensor::bool(shape, vec![true; n_visible])?),
        ])
    }
}
