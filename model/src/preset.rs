use std::fmt;

use crate::{ModelConfig, MotionTokenizerConfig, MotionTokens, VideoTokenizerConfig, VideoTokens};

/// A model with a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Preset {
    /// The published model with the published tokenizers.
    Base,
    /// A model that trains on a CPU and runs in seconds: 64 x 64 pixels, 320 video tokens, 4 + 4 blocks.
    Tiny,
}

/// A name that no preset has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no preset is called {name:?}\nuse {}", names())]
pub struct UnknownPreset {
    /// The name that was asked for.
    pub name: String,
}

impl Preset {
    /// Every preset, the published one first.
    pub const ALL: [Self; 2] = [Self::Base, Self::Tiny];

    /// Its name: `egom2p-base` or `egom2p-tiny`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "egom2p-base",
            Self::Tiny => "egom2p-tiny",
        }
    }

    /// The preset of this name.
    pub fn from_name(name: &str) -> Result<Self, UnknownPreset> {
        let preset = Self::ALL.into_iter().find(|preset| preset.name() == name);
        preset.ok_or_else(|| UnknownPreset { name: name.to_owned() })
    }

    /// The preset that has exactly this config, if one has.
    pub fn of(config: &ModelConfig) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.config() == *config)
    }

    /// Its sizes. Those of [`Preset::Base`] are from specification sections 1 to 3.
    pub fn config(self) -> ModelConfig {
        match self {
            Self::Base => base(),
            Self::Tiny => tiny(),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn base() -> ModelConfig {
    let motion = MotionTokenizerConfig { dim: 768, heads: 12, blocks: 12, mlp_hidden: 3072, code_dim: 32 };
    ModelConfig {
        dim: 768,
        heads: 12,
        encoder_blocks: 12,
        decoder_blocks: 12,
        mlp_hidden: 2048,
        video: VideoTokens { frames: 16, height: 256, width: 256, vocabulary: 64_000 },
        motion: MotionTokens { samples: 60, vocabulary: 256 },
        video_tokenizer: Some(VideoTokenizerConfig {
            channels: 128,
            channel_multipliers: [2, 4, 4],
            residual_blocks: 2,
            z_channels: 16,
            levels: vec![8, 8, 8, 5, 5, 5],
        }),
        camera_tokenizer: Some(motion),
        gaze_tokenizer: Some(motion),
    }
}

fn tiny() -> ModelConfig {
    let motion = MotionTokenizerConfig { dim: 96, heads: 4, blocks: 4, mlp_hidden: 384, code_dim: 16 };
    ModelConfig {
        dim: 192,
        heads: 6,
        encoder_blocks: 4,
        decoder_blocks: 4,
        mlp_hidden: 512,
        video: VideoTokens { frames: 16, height: 64, width: 64, vocabulary: 1000 },
        motion: MotionTokens { samples: 60, vocabulary: 256 },
        video_tokenizer: Some(VideoTokenizerConfig {
            channels: 32,
            channel_multipliers: [1, 2, 2],
            residual_blocks: 1,
            z_channels: 8,
            levels: vec![8, 5, 5, 5],
        }),
        camera_tokenizer: Some(motion),
        gaze_tokenizer: Some(motion),
    }
}

fn names() -> String {
    Preset::ALL.map(Preset::name).join(" or ")
}
