//! The sizes of a model: what `config.json` of a weights folder stores.

mod error;
mod golden;
mod tokenizer;
mod tokens;

use serde::{Deserialize, Serialize};

use crate::Modality;
use error::{at_most, divisible};

pub use error::ConfigError;
pub use golden::read_golden_json;
pub use tokenizer::{MotionTokenizerConfig, VideoTokenizerConfig};
pub use tokens::{MotionTokens, VideoTokens};

/// The largest width of a transformer.
const MAX_DIM: usize = 8192;
/// The largest number of attention heads.
const MAX_HEADS: usize = 128;
/// The largest number of blocks of one stack.
const MAX_BLOCKS: usize = 128;
/// The largest hidden width of an MLP.
const MAX_MLP_HIDDEN: usize = 65_536;
/// The largest number of values of one table, 4 GiB as `f32`.
const MAX_TABLE: usize = 1 << 30;

/// The sizes of a model and of its tokenizers: everything that a stage's graph depends on.
///
/// A tokenizer that is `null` is one that these weights were never meant to have; which files a weights folder really
/// holds is another question. Fields have no defaults: a stored config says everything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The width of the transformer; a multiple of 6, so that its position table splits into three axes.
    pub dim: usize,
    /// The number of attention heads; divides `dim`.
    pub heads: usize,
    /// The number of encoder blocks.
    pub encoder_blocks: usize,
    /// The number of decoder blocks.
    pub decoder_blocks: usize,
    /// The hidden width of the gated MLPs.
    pub mlp_hidden: usize,
    /// Clips of colour or depth video and their tokens.
    pub video: VideoTokens,
    /// Camera and gaze sequences and their tokens.
    pub motion: MotionTokens,
    /// The tokenizer of colour and depth video.
    #[serde(deserialize_with = "Option::deserialize")]
    pub video_tokenizer: Option<VideoTokenizerConfig>,
    /// The tokenizer of camera trajectories.
    #[serde(deserialize_with = "Option::deserialize")]
    pub camera_tokenizer: Option<MotionTokenizerConfig>,
    /// The tokenizer of gaze.
    #[serde(deserialize_with = "Option::deserialize")]
    pub gaze_tokenizer: Option<MotionTokenizerConfig>,
}

impl ModelConfig {
    /// Reads the text of a `config.json` and validates it.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_str(text).map_err(|error| ConfigError::unreadable(&error))?;
        config.validate()?;
        Ok(config)
    }

    /// The text of a `config.json`, indented, with a newline at the end.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", serde_json::json!(self))
    }

    /// Fails unless every size is one that a stage can be built with. The upper bounds keep a hostile file from asking
    /// for absurd amounts of memory.
    pub fn validate(&self) -> Result<(), ConfigError> {
        at_most("dim", self.dim, MAX_DIM)?;
        divisible("dim", self.dim, 6)?;
        at_most("heads", self.heads, MAX_HEADS)?;
        divisible("dim", self.dim, self.heads)?;
        at_most("encoder_blocks", self.encoder_blocks, MAX_BLOCKS)?;
        at_most("decoder_blocks", self.decoder_blocks, MAX_BLOCKS)?;
        at_most("mlp_hidden", self.mlp_hidden, MAX_MLP_HIDDEN)?;
        self.video.validate()?;
        self.motion.validate()?;
        at_most("video.vocabulary * dim", self.video.vocabulary.saturating_mul(self.dim), MAX_TABLE)?;
        at_most("motion.vocabulary * dim", self.motion.vocabulary.saturating_mul(self.dim), MAX_TABLE)?;
        at_most("video tokens * dim", self.video.n_tokens().saturating_mul(self.dim), MAX_TABLE)?;
        if let Some(tokenizer) = &self.video_tokenizer {
            tokenizer.validate(self.video.vocabulary)?;
        }
        for tokenizer in [&self.camera_tokenizer, &self.gaze_tokenizer].into_iter().flatten() {
            tokenizer.validate()?;
        }
        Ok(())
    }

    /// How many different tokens a modality has.
    pub fn vocabulary(&self, modality: Modality) -> usize {
        if modality.is_video() { self.video.vocabulary } else { self.motion.vocabulary }
    }

    /// How many tokens a clip of a modality has.
    pub fn n_tokens(&self, modality: Modality) -> usize {
        if modality.is_video() { self.video.n_tokens() } else { self.motion.n_tokens() }
    }
}
