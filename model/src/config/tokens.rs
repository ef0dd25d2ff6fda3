use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::error::{at_most, divisible};

/// The largest number of frames of a clip.
const MAX_FRAMES: usize = 256;
/// The largest height and width of a frame, in pixels.
const MAX_SIDE: usize = 2048;
/// The largest number of samples of a camera or gaze sequence.
const MAX_SAMPLES: usize = 4096;
/// The largest number of different tokens.
const MAX_VOCABULARY: usize = 1 << 20;

/// Clips of colour or depth video and the grid of tokens that they become.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoTokens {
    /// The number of frames of a clip; a multiple of 8, so that one more frame makes it fit the tokenizer.
    pub frames: usize,
    /// The height of a frame in pixels; a multiple of 8.
    pub height: usize,
    /// The width of a frame in pixels; a multiple of 8.
    pub width: usize,
    /// How many different tokens there are.
    pub vocabulary: usize,
}

/// Camera and gaze sequences and the tokens that they become.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MotionTokens {
    /// The number of samples of a sequence; even.
    pub samples: usize,
    /// How many different tokens there are; also the number of codes of both motion tokenizers.
    pub vocabulary: usize,
}

impl VideoTokens {
    /// How many frames one step of the token grid covers; the first step covers one.
    pub const TEMPORAL_COMPRESSION: usize = 4;
    /// How many pixels one token covers in height and in width.
    pub const SPATIAL_COMPRESSION: usize = 8;

    /// The number of frames that the tokenizer takes: the last one is repeated once (specification section 3.1).
    pub fn padded_frames(&self) -> usize {
        self.frames + 1
    }

    /// The token grid `[t, h, w]`; tokens flatten in this order, `w` fastest.
    pub fn grid(&self) -> [usize; 3] {
        let t = self.frames / Self::TEMPORAL_COMPRESSION + 1;
        [t, self.height / Self::SPATIAL_COMPRESSION, self.width / Self::SPATIAL_COMPRESSION]
    }

    /// The number of tokens of a clip.
    pub fn n_tokens(&self) -> usize {
        self.grid().iter().product()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_most("video.frames", self.frames, MAX_FRAMES)?;
        divisible("video.frames", self.frames, 8)?;
        for (field, size) in [("video.height", self.height), ("video.width", self.width)] {
            at_most(field, size, MAX_SIDE)?;
            divisible(field, size, Self::SPATIAL_COMPRESSION)?;
        }
        at_most("video.vocabulary", self.vocabulary, MAX_VOCABULARY)
    }
}

impl MotionTokens {
    /// The number of samples that one token covers.
    pub const COMPRESSION: usize = 2;

    /// The number of tokens of a sequence.
    pub fn n_tokens(&self) -> usize {
        self.samples / Self::COMPRESSION
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_most("motion.samples", self.samples, MAX_SAMPLES)?;
        divisible("motion.samples", self.samples, Self::COMPRESSION)?;
        at_most("motion.vocabulary", self.vocabulary, MAX_VOCABULARY)
    }
}
