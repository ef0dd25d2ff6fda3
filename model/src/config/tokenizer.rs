use serde::{Deserialize, Serialize};

use super::error::{at_most, divisible, equal};
use super::{ConfigError, MAX_BLOCKS, MAX_DIM, MAX_HEADS, MAX_MLP_HIDDEN};

/// The largest number of residual blocks of one level.
const MAX_RESIDUAL_BLOCKS: usize = 16;
/// The largest width between the video encoder and its quantiser.
const MAX_Z_CHANNELS: usize = 1024;
/// The largest width of a code of a motion tokenizer.
const MAX_CODE_DIM: usize = 1024;

/// The sizes of the video tokenizer, a causal convolutional autoencoder with finite scalar quantisation
/// (specification section 3). Its shape is that of Cosmos `DV4x8x8`: Haar patches of 4, then three levels of which the
/// first halves height and width.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoTokenizerConfig {
    /// The width that the multipliers multiply, also the encoder's width before its first level.
    pub channels: usize,
    /// The width of each level, in units of `channels`.
    pub channel_multipliers: [usize; 3],
    /// The number of residual blocks of an encoder level; a decoder level has one more.
    pub residual_blocks: usize,
    /// The width between the network and the 1x1 convolutions around the quantiser.
    pub z_channels: usize,
    /// The number of values of every quantised channel; their product is the vocabulary.
    pub levels: Vec<usize>,
}

/// The sizes of a camera or gaze tokenizer, a transformer autoencoder with a codebook (specification section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MotionTokenizerConfig {
    /// The width of the transformer; even, so that its position table splits into sines and cosines.
    pub dim: usize,
    /// The number of attention heads; divides `dim`.
    pub heads: usize,
    /// The number of blocks of the encoder, and of the decoder.
    pub blocks: usize,
    /// The hidden width of the MLPs.
    pub mlp_hidden: usize,
    /// The width of a code.
    pub code_dim: usize,
}

impl VideoTokenizerConfig {
    /// The widths of the three levels.
    pub(crate) fn widths(&self) -> [usize; 3] {
        self.channel_multipliers.map(|multiplier| multiplier * self.channels)
    }

    pub(super) fn validate(&self, vocabulary: usize) -> Result<(), ConfigError> {
        at_most("video_tokenizer.channels", self.channels, MAX_DIM)?;
        for multiplier in self.channel_multipliers {
            let width = multiplier.saturating_mul(self.channels);
            at_most("video_tokenizer.channels * channel_multipliers", width, MAX_DIM)?;
        }
        at_most("video_tokenizer.residual_blocks", self.residual_blocks, MAX_RESIDUAL_BLOCKS)?;
        at_most("video_tokenizer.z_channels", self.z_channels, MAX_Z_CHANNELS)?;
        let too_few = self.levels.iter().find(|&&level| level < 2);
        if let Some(&value) = too_few {
            let expected = "at least 2 values a channel".to_owned();
            return Err(ConfigError::Value { field: "video_tokenizer.levels", value, expected });
        }
        let codes = self.levels.iter().fold(1_usize, |product, &level| product.saturating_mul(level));
        equal("the product of video_tokenizer.levels", codes, vocabulary)
    }
}

impl MotionTokenizerConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_most("dim of a motion tokenizer", self.dim, MAX_DIM)?;
        divisible("dim of a motion tokenizer", self.dim, 2)?;
        at_most("heads of a motion tokenizer", self.heads, MAX_HEADS)?;
        divisible("dim of a motion tokenizer", self.dim, self.heads)?;
        at_most("blocks of a motion tokenizer", self.blocks, MAX_BLOCKS)?;
        at_most("mlp_hidden of a motion tokenizer", self.mlp_hidden, MAX_MLP_HIDDEN)?;
        at_most("code_dim of a motion tokenizer", self.code_dim, MAX_CODE_DIM)
    }
}
