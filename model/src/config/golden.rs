use serde::Deserialize;
use serde_json::Value;

use super::error::equal;
use super::{ConfigError, ModelConfig, MotionTokens, VideoTokens};
use crate::Preset;

/// The frames and samples of a clip: those of the published model, which the goldens do not repeat.
const FRAMES: usize = 16;
const SAMPLES: usize = 60;

/// The `config` of a file of reference values, as their recipe writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenConfig {
    dim: usize,
    heads: usize,
    enc_depth: usize,
    dec_depth: usize,
    video_vocab: usize,
    motion_vocab: usize,
    swiglu_hidden: usize,
    /// The height and width of the token grid.
    video_side: usize,
    image_size: Option<usize>,
    video_tokens: Option<usize>,
    motion_tokens: Option<usize>,
    head_dim: Option<usize>,
}

/// Reads JSON as Python writes it, which is how reference values are described: `NaN` and infinities become null.
pub fn read_golden_json(text: &str) -> Result<Value, ConfigError> {
    serde_json::from_str(&without_non_finite(text)).map_err(|error| ConfigError::unreadable(&error))
}

impl ModelConfig {
    /// The config that the JSON beside a file of reference values describes: its `config`, which knows no tokenizers, or
    /// the published sizes where it has none.
    pub fn from_golden_json(golden: &Value) -> Result<Self, ConfigError> {
        let Some(config) = golden.get("config") else {
            return if golden.get("weight_seed").is_some() {
                Ok(Preset::Base.config())
            } else {
                Err(ConfigError::Unreadable { reason: "it has neither \"config\" nor \"weight_seed\"".to_owned() })
            };
        };
        let golden = GoldenConfig::deserialize(config).map_err(|error| ConfigError::unreadable(&error))?;
        golden.config()
    }
}

impl GoldenConfig {
    fn config(&self) -> Result<ModelConfig, ConfigError> {
        let side = self.video_side.saturating_mul(VideoTokens::SPATIAL_COMPRESSION);
        let config = ModelConfig {
            dim: self.dim,
            heads: self.heads,
            encoder_blocks: self.enc_depth,
            decoder_blocks: self.dec_depth,
            mlp_hidden: self.swiglu_hidden,
            video: VideoTokens { frames: FRAMES, height: side, width: side, vocabulary: self.video_vocab },
            motion: MotionTokens { samples: SAMPLES, vocabulary: self.motion_vocab },
            video_tokenizer: None,
            camera_tokenizer: None,
            gaze_tokenizer: None,
        };
        config.validate()?;
        let derived = [
            ("image_size", self.image_size, side),
            ("video_tokens", self.video_tokens, config.video.n_tokens()),
            ("motion_tokens", self.motion_tokens, config.motion.n_tokens()),
            ("head_dim", self.head_dim, self.dim / self.heads),
        ];
        for (field, stated, expected) in derived {
            equal(field, stated.unwrap_or(expected), expected)?;
        }
        Ok(config)
    }
}

/// The text with `null` in place of the numbers that JSON does not have; strings stay as they are.
fn without_non_finite(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"].into_iter().find(|number| !in_string && rest.starts_with(number));
        if let Some(number) = number {
            json += "null";
            rest = &rest[number.len()..];
            continue;
        }
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
        json.push(c);
        rest = &rest[c.len_utf8()..];
    }
    json
}
