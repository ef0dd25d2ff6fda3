use egom2p_model::{Modality, ModelConfig};

/// Where tokens stand in the table of tokens on the device: i64 `[clips, positions]`, the positions of all modalities one
/// after another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TableLayout {
    starts: [usize; Modality::ALL.len()],
    n_positions: usize,
}

impl TableLayout {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let mut n_positions = 0;
        let starts = Modality::ALL.map(|modality| {
            let start = n_positions;
            n_positions += config.n_tokens(modality);
            start
        });
        Self { starts, n_positions }
    }

    /// Positions of a clip.
    pub(crate) fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// The element of the table that holds this token of a clip.
    pub(crate) fn slot(&self, clip: usize, (modality, position): (Modality, usize)) -> usize {
        clip * self.n_positions + self.starts[modality.index()] + position
    }
}
