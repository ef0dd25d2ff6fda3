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

/// The tokens of a clip, `t`, `h`, `w` order, `w` fastest.
pub fn tokenize_video(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    frames: &Frames,
) -> Result<Vec<i64>, TokenizerError> {
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
    let (video, _) = frames.to_tensor()?;
    let tokens = stages.run_one(Stage::VideoEncoder, &[("video", &video)])?;
    let [t, h, w] = expected.grid();
    expect_shape(Stage::VideoEncoder, &tokens, &[1, t, h, w])?;
    Ok(tokens.into_i64()?)
}

/// The clip that video tokens describe, without the frame that padding added.
pub fn detokenize_video(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    tokens: &[i64],
) -> Result<DecodedVideo, TokenizerError> {
    let [t, h, w] = config.video.grid();
    let tokens = Tensor::i64([1, t, h, w], tokens.to_vec())?;
    let video = stages.run_one(Stage::VideoDecoder, &[("tokens", &tokens)])?;
    expect_shape(
        Stage::VideoDecoder,
        &video,
        &[1, 3, config.video.padded_frames(), config.video.height, config.video.width],
    )?;
    let keep = 0..config.video.frames;
    let parts = Frames::from_tensor(&video, keep.clone()).zip(frames::depth(&video, keep));
    let (frames, (luminance, _)) = parts.ok_or_else(|| StagesError::Output {
        stage: Stage::VideoDecoder.name(),
        actual: video.dtype().to_string(),
        expected: "f32".to_owned(),
    })?;
    Ok(DecodedVideo { frames, luminance })
}

/// The sequence that camera or gaze tokens describe, normalised: `[samples, channels]`, 9 or 2 channels.
pub fn detokenize_motion(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    modality: Modality,
    tokens: &[i64],
) -> Result<Vec<f32>, TokenizerError> {
    let stage = Stage::detokenizer(modality);
    let n_channels = if modality == Modality::Camera { 9 } else { 2 };
    let tokens = Tensor::i64([1, tokens.len()], tokens.to_vec())?;
    let sequence = stages.run_one(stage, &[("tokens", &tokens)])?;
    expect_shape(stage, &sequence, &[1, config.motion.samples, n_channels])?;
    Ok(sequence.into_f32()?)
}
