//! One clip from pixels or tokens to predictions: tokenise, generate, detokenise.

use std::time::Instant;

use egom2p_device::DeviceError;
use egom2p_engine_core::EngineError;
use egom2p_model::{Modality, ModelConfig, Stage};

use crate::{
    frames::Frames,
    generation::{Generated, GenerationError, GenerationSettings, ModalityTokens, StepReport, generate},
    motion,
    stages::{Stages, StagesError},
    tokenizer::{Decoded, DecodedVideo, TokenizerError, detokenize_motion, detokenize_video, tokenize_video},
};

/// The stages of the decoding loop: done with before tokens become pixels, which takes gigabytes of its own.
const GENERATION_STAGES: [Stage; 6] =
    [Stage::Encoder, Stage::Decoder, Stage::HeadCamera, Stage::HeadDepth, Stage::HeadGaze, Stage::HeadRgb];

/// What a clip brings: frames to tokenise, tokens at hand, or both.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Given {
    /// Frames and what they show: RGB or depth.
    pub video: Option<(Modality, Frames)>,
    /// Tokens at hand.
    pub tokens: Vec<ModalityTokens>,
}

/// What was predicted for a clip.
#[derive(Clone, PartialEq, Debug)]
pub struct Prediction {
    /// The tokens that the prediction was made from.
    pub given: Vec<ModalityTokens>,
    /// The tokens that were decoded, and how.
    pub generated: Generated,
    /// 9-D poses relative to frame 0, one per sample (specification section 2.4), if camera was a target.
    pub camera: Option<Vec<[f32; motion::CAMERA_CHANNELS]>>,
    /// x, y in [0, 1] of the square crop, one per sample, if gaze was a target.
    pub gaze: Option<Vec<[f32; motion::GAZE_CHANNELS]>>,
    /// Depth video, if depth was a target.
    pub depth: Option<DecodedVideo>,
    /// RGB video, if RGB was a target.
    pub rgb: Option<DecodedVideo>,
    /// Wall time of the parts.
    pub secs: PredictionSecs,
}

/// Wall time of the parts of a prediction.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PredictionSecs {
    /// Frames to tokens.
    pub tokenize: f64,
    /// All decoding steps.
    pub generate: f64,
    /// Tokens to frames and sequences.
    pub detokenize: f64,
}

/// A prediction that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The decoding loop failed.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// A predicted sequence is not one.
    #[error(transparent)]
    Motion(#[from] motion::MotionError),
}

/// Predicts every target of `settings`; `observe` sees every decoding step when it is done.
pub fn predict(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    given: Given,
    settings: &GenerationSettings,
    observe: &mut dyn FnMut(&StepReport),
) -> Result<Prediction, PipelineError> {
    let mut secs = PredictionSecs::default();
    let started = Instant::now();
    let mut tokens = given.tokens;
    if let Some((modality, frames)) = given.video {
        tokens.insert(0, ModalityTokens { modality, tokens: tokenize_video(stages, config, &frames)? });
        stages.release(Stage::VideoEncoder);
    }
    secs.tokenize = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let generated = generate(stages, config, &tokens, settings, observe)?;
    for stage in GENERATION_STAGES {
        stages.release(stage);
    }
    secs.generate = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let mut prediction =
        Prediction { given: tokens, generated, camera: None, gaze: None, depth: None, rgb: None, secs };
    for index in 0..prediction.generated.targets.len() {
        let ModalityTokens { modality, tokens } = &prediction.generated.targets[index];
        let (modality, decoded) = if modality.is_video() {
            (*modality, Decoded::Video(detokenize_video(stages, config, tokens)?))
        } else {
            (*modality, Decoded::Motion(detokenize_motion(stages, config, *modality, tokens)?))
        };
        prediction.take(modality, decoded)?;
    }
    stages.release(Stage::VideoDecoder);
    prediction.secs.detokenize = started.elapsed().as_secs_f64();
    Ok(prediction)
}

impl Prediction {
    /// Takes over what the tokens of a modality describe.
    pub(crate) fn take(&mut self, modality: Modality, decoded: Decoded) -> Result<(), PipelineError> {
        match (modality, decoded) {
            (Modality::Depth, Decoded::Video(video)) => {
                self.depth = Some(DecodedVideo { frames: video.frames.grey(), ..video });
            }
            (_, Decoded::Video(video)) => self.rgb = Some(video),
            (Modality::Gaze, Decoded::Motion(normalised)) => self.gaze = Some(motion::denormalise_gaze(&normalised)?),
            (_, Decoded::Motion(normalised)) => self.camera = Some(motion::denormalise_camera(&normalised)?),
        }
        Ok(())
    }
}

impl PipelineError {
    /// The failure of a device that is behind it, if one is.
    pub fn device(&self) -> Option<&DeviceError> {
        match self {
            Self::Generation(error) => error.device(),
            Self::Tokenizer(
                TokenizerError::Tensor(EngineError::Device(error))
                | TokenizerError::Stages(StagesError::Engine(EngineError::Device(error))),
            ) => Some(error),
            Self::Tokenizer(_) | Self::Motion(_) => None,
        }
    }
}
