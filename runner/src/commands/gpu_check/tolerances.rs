//! How far results may be from those of the processor in fp32, and where the numbers come from.

use egom2p_calibration::Precision;
use egom2p_model::{ModelConfig, Preset, Stage};

/// What is asked of a result.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Limit {
    /// Floats: the norm of the difference over the norm, and the largest difference over the largest magnitude.
    Floats { norm: f64, largest: f64 },
    /// Integers: this share is equal, up to one.
    Agreement(f64),
    /// Nothing is asked: the value is measured.
    Measured,
}

const fn floats(norm: f64, largest: f64) -> Limit {
    Limit::Floats { norm, largest }
}

// fp32: the tolerance that the published values of PyTorch state for a tensor, over its largest magnitude, rounded up to
// one digit. `tests/tests/published_goldens` holds every stage to them.
/// `tiny_forward`: `out/context` 3.6e-5, `out/decoder_out` 4.3e-5.
const SMALL_STATES: Limit = floats(5e-5, 5e-5);
/// `full_gen_rgb2cam`: `step0/context_rows` 5.2e-4. Its 12 blocks carry a rounding of 6e-8 that far.
const FULL_CONTEXT: Limit = floats(6e-4, 6e-4);
/// `full_gen_rgb2cam`: `step0/hidden_cond` 4.1e-3.
const FULL_HIDDEN: Limit = floats(5e-3, 5e-3);
/// `gaze_tokenizer`: `random_decoded` 1.2e-4.
const MOTION: Limit = floats(2e-4, 2e-4);
/// `video_tokenizer_real16`: `decoded_crop` 5e-5 of values up to 1.
const VIDEO: Limit = floats(5e-5, 5e-5);
/// Heads are one product, in fp32 in every precision: 768 terms give 2e-6 at the most.
const LOGITS: Limit = floats(1e-5, 1e-5);
/// One token in a thousand lies as near to another as fp32 rounds.
const FP32_TOKENS: f64 = 0.999;
/// Draws of a first step at temperature 0.01, which multiplies what logits differ by: one in a hundred may be another.
pub(super) const FIRST_DRAWS: f64 = 0.99;
/// `tiny_forward`: `out/logits/tok_depth` 6.8e-5.
const SMALL_DOUBT: f64 = 7e-5;
/// `full_gen_rgb2cam`: `greedy/step0/logits_cond` 5.5e-3.
const FULL_DOUBT: f64 = 6e-3;

// fp16: about twice what ONNX Runtime gives on the processor, as in `tests/src/published/half.rs`.
/// `SMALL_STATES` there.
const SMALL_STATES_FP16: Limit = floats(0.01, 0.016);
/// `FULL_CONTEXT` there.
const FULL_CONTEXT_FP16: Limit = floats(0.08, 0.1);
/// `FULL_HIDDEN` there.
const FULL_HIDDEN_FP16: Limit = floats(0.4, 0.5);
/// `MOTION_CLIPS` there.
const MOTION_FP16: Limit = floats(0.02, 0.02);
/// `VIDEO_DECODED` there.
const VIDEO_FP16: Limit = floats(0.0025, 0.003);
/// `AGREEMENTS` there: 117 of 120 tokens of motion, 5,021 of 5,120 of video.
const FP16_TOKENS: f64 = 0.975;
/// `AGREEMENTS` there: choices of the small model after the stored tokens, 28 of 30.
const SMALL_CHOICES_FP16: f64 = 0.93;
/// `AGREEMENTS` there: the same at the published size, 25 of 30.
const FULL_CHOICES_FP16: f64 = 0.83;

// bf16: `tests/tests/published_goldens/bf16.rs` has decoded clips of motion and their tokens. Nothing else was ever
// computed in bf16, so nothing else is asked.
/// `CLIPS` there.
const MOTION_BF16: Limit = floats(0.07, 0.1);
/// 9 in 10 there.
const BF16_TOKENS: f64 = 0.9;

/// What is asked of the output of a stage.
pub(super) fn of_stage(config: &ModelConfig, stage: Stage, precision: Precision) -> Limit {
    let small = is_small(config);
    match (stage, precision) {
        (Stage::HeadCamera | Stage::HeadDepth | Stage::HeadGaze | Stage::HeadRgb, _) => LOGITS,
        (Stage::Encoder | Stage::Decoder, Precision::Fp32) if small => SMALL_STATES,
        (Stage::Encoder | Stage::Decoder, Precision::Fp16) if small => SMALL_STATES_FP16,
        (Stage::Encoder, Precision::Fp32) => FULL_CONTEXT,
        (Stage::Decoder, Precision::Fp32) => FULL_HIDDEN,
        (Stage::Encoder, Precision::Fp16) => FULL_CONTEXT_FP16,
        (Stage::Decoder, Precision::Fp16) => FULL_HIDDEN_FP16,
        (Stage::CameraDecoder | Stage::GazeDecoder, Precision::Fp32) => MOTION,
        (Stage::CameraDecoder | Stage::GazeDecoder, Precision::Fp16) => MOTION_FP16,
        (Stage::CameraDecoder | Stage::GazeDecoder, Precision::Bf16) => MOTION_BF16,
        (Stage::VideoDecoder, Precision::Fp32) => VIDEO,
        (Stage::VideoDecoder, Precision::Fp16) => VIDEO_FP16,
        (Stage::CameraEncoder | Stage::GazeEncoder | Stage::VideoEncoder, Precision::Fp32) => {
            Limit::Agreement(FP32_TOKENS)
        }
        (Stage::CameraEncoder | Stage::GazeEncoder | Stage::VideoEncoder, Precision::Fp16) => {
            Limit::Agreement(FP16_TOKENS)
        }
        (Stage::CameraEncoder | Stage::GazeEncoder, Precision::Bf16) => Limit::Agreement(BF16_TOKENS),
        (Stage::Encoder | Stage::Decoder | Stage::VideoEncoder | Stage::VideoDecoder, Precision::Bf16) => {
            Limit::Measured
        }
    }
}

/// What is asked of the places of the largest logits, from the same hidden states.
pub(super) fn of_largest() -> Limit {
    Limit::Agreement(FP32_TOKENS)
}

/// What is asked of greedy tokens, each step after the reference's own tokens. In fp32 all must be equal but those whose
/// lead is in doubt, see [`doubt`].
pub(super) fn of_choices(config: &ModelConfig, precision: Precision) -> Limit {
    match precision {
        Precision::Fp32 => Limit::Agreement(1.0),
        Precision::Fp16 if is_small(config) => Limit::Agreement(SMALL_CHOICES_FP16),
        Precision::Fp16 => Limit::Agreement(FULL_CHOICES_FP16),
        Precision::Bf16 => Limit::Measured,
    }
}

/// A lead of the best logit below this part of the largest magnitude decides nothing in fp32.
pub(super) fn doubt(config: &ModelConfig) -> f64 {
    if is_small(config) { SMALL_DOUBT } else { FULL_DOUBT }
}

/// Whether a model carries roundings no further than the small one.
fn is_small(config: &ModelConfig) -> bool {
    let tiny = Preset::Tiny.config();
    config.encoder_blocks + config.decoder_blocks <= tiny.encoder_blocks + tiny.decoder_blocks && config.dim <= tiny.dim
}
