use egom2p_model::{Modality, ModelConfig};

/// Which token arrays a model takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenLayout {
    shapes: [Vec<usize>; 4],
    vocabularies: [usize; 4],
}

impl TokenLayout {
    /// The arrays of this model: `[t, h, w]` for video, `[tokens]` for camera and gaze.
    pub fn new(config: &ModelConfig) -> Self {
        let shape = |modality: Modality| {
            if modality.is_video() { config.video.grid().to_vec() } else { vec![config.motion.n_tokens()] }
        };
        Self {
            shapes: Modality::ALL.map(shape),
            vocabularies: Modality::ALL.map(|modality| config.vocabulary(modality)),
        }
    }

    /// The shape of a modality's array.
    pub fn shape(&self, modality: Modality) -> &[usize] {
        &self.shapes[modality.index()]
    }

    /// How many different tokens a modality has.
    pub fn vocabulary(&self, modality: Modality) -> usize {
        self.vocabularies[modality.index()]
    }

    /// How many tokens a modality's array has.
    pub fn n_tokens(&self, modality: Modality) -> usize {
        self.shape(modality).iter().product()
    }

    /// The largest `.npz` of a modality: its tokens at eight bytes, uncompressed, and room for the frame around them.
    pub(super) fn max_bytes(&self, modality: Modality) -> u64 {
        8 * self.n_tokens(modality) as u64 + (64 << 10)
    }
}
