//! Clips to tokens and tokens to clips, through the tokenizer stages (specification sections 2 and 3).

use egom2p_engine_core::{EngineError, Tensor};
use egom2p_model::{Modality, ModelConfig, Stage};

use crate::{
    frames::{self, Frames},
    stages::{Stages, StagesError, expect_shape},
};

/// A clip that could not be tokenised, or tokens that could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The frames are not those that the preset's tokens describe.
    #[error(
        "a clip has {actual} frames of {width}x{height}, expected {n_frames} of {expected_width}x{expected_height}\nlet the video be resampled and resized, or use another preset"
    )]
    Frames {
        /// Frames given.
        actual: usize,
        /// Their width.
        width: usize,
        /// Their height.
        height: usize,
        /// Frames of the preset's clip.
        n_frames: usize,
        /// Their width.
        expected_width: usize,
        /// Their height.
        expected_height: usize,
    },
    /// A stage failed.
    #[error(transparent)]
    Stages(#[from] StagesError),
    /// A tensor is not what it should be.
    #[error(transparent)]
    Tensor(#[from] EngineError),
}

/// A decoded video.
#[derive(Clone, PartialEq, Debug)]
pub struct DecodedVideo {
    /// Pixels as published: clamped, rounded.
    pub frames: Frames,
    /// The mean over the channels in [0, 1] without rounding, `[frames, height, width]`.
    pub luminance: Vec<f32>,
}

/// What the tokens of one modality of a clip describe.
#[derive(Clone, PartialEq, Debug)]
pub enum Decoded {
    /// A sequence, normalised: `[samples, channels]`, 9 or 2 channels.
    Motion(Vec<f32>),
    /// A video of depth or RGB.
    Video(DecodedVideo),
}

impl Decoded {
    /// Reads what the detokenizer of a modality gave for one clip.
    pub(crate) fn new(config: &ModelConfig, modality: Modality, output: Tensor) -> Result<Self, TokenizerError> {
        Ok(if modality.is_video() {
            Self::Video(decoded_video(config, &output)?)
        } else {
            Self::Motion(decoded_motion(config, modality, output)?)
        })
    }
}

/// The shape of what the detokenizer of a modality gives for one clip.
pub(crate) fn decoded_shape(config: &ModelConfig, modality: Modality) -> Vec<usize> {
    match modality {
        Modality::Camera => vec![1, config.motion.samples, 9],
        Modality::Gaze => vec![1, config.motion.samples, 2],
        Modality::Depth | Modality::Rgb => {
            vec![1, 3, config.video.padded_frames(), config.video.height, config.video.width]
        }
    }
}

/// The shape of a modality's tokens of one clip, as the tokenizer stages take and give them.
pub(crate) fn tokens_shape(config: &ModelConfig, modality: Modality) -> Vec<usize> {
    if modality.is_video() {
        let [t, h, w] = config.video.grid();
        vec![1, t, h, w]
    } else {
        vec![1, config.motion.n_tokens()]
    }
}

/// The video tokenizer's input, if the frames are as many and as large as the preset's.
pub(crate) fn video_tensor(config: &ModelConfig, frames: &Frames) -> Result<Tensor, TokenizerError> {
    let expected = config.video;
    if (frames.n_frames(), frames.height(), frames.width()) != (expected.frames, expected.height, expected.width) {
        return Err(TokenizerError::Frames {
            actual: frames.n_frames(),
            width: frames.width(),
            height: frames.height(),
            n_frames: expected.frames,
            expected_width: expected.width,
            expected_height: expected.height,
        });
    }
    Ok(frames.to_tensor()?.0)
}

/// The tokens of a clip, `t`, `h`, `w` order, `w` fastest.
pub fn tokenize_video(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    frames: &Frames,
) -> Result<Vec<i64>, TokenizerError> {
    let video = video_tensor(config, frames)?;
    let tokens = stages.run_one(Stage::VideoEncoder, &[("video", &video)])?;
    expect_shape(Stage::VideoEncoder, &tokens, &tokens_shape(config, Modality::Rgb))?;
    Ok(tokens.into_i64()?)
}

/// The clip that video tokens describe, without the frame that padding added.
pub fn detokenize_video(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    tokens: &[i64],
) -> Result<DecodedVideo, TokenizerError> {
    let tokens = Tensor::i64(tokens_shape(config, Modality::Rgb), tokens.to_vec())?;
    decoded_video(config, &stages.run_one(Stage::VideoDecoder, &[("tokens", &tokens)])?)
}

/// The sequence that camera or gaze tokens describe, normalised: `[samples, channels]`, 9 or 2 channels.
pub fn detokenize_motion(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    modality: Modality,
    tokens: &[i64],
) -> Result<Vec<f32>, TokenizerError> {
    let tokens = Tensor::i64([1, tokens.len()], tokens.to_vec())?;
    let output = stages.run_one(Stage::detokenizer(modality), &[("tokens", &tokens)])?;
    decoded_motion(config, modality, output)
}

fn decoded_video(config: &ModelConfig, output: &Tensor) -> Result<DecodedVideo, TokenizerError> {
    expect_shape(Stage::VideoDecoder, output, &decoded_shape(config, Modality::Rgb))?;
    let keep = 0..config.video.frames;
    let parts = Frames::from_tensor(output, keep.clone()).zip(frames::depth(output, keep));
    let (frames, (luminance, _)) = parts.ok_or_else(|| StagesError::Output {
        stage: Stage::VideoDecoder.name(),
        actual: output.dtype().to_string(),
        expected: "f32".to_owned(),
    })?;
    Ok(DecodedVideo { frames, luminance })
}

fn decoded_motion(config: &ModelConfig, modality: Modality, output: Tensor) -> Result<Vec<f32>, TokenizerError> {
    expect_shape(Stage::detokenizer(modality), &output, &decoded_shape(config, modality))?;
    Ok(output.into_f32()?)
}
