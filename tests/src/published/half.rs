use std::fmt;

use super::matches;

/// How far values computed in `fp16` may be from the published ones.
///
/// A product keeps 11 significant bits, half a thousandth, and the layers after it carry its rounding on: how far depends on
/// their number and their weights. So there is one tolerance for each kind of value of each model, about twice what was
/// measured on one machine. PyTorch's own rule, `torch.autocast`, is further from the same values than this one is:
/// `tests/python/autocast.py` measures it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HalfTolerance {
    /// Of the norm of the difference over the norm of the published values.
    pub norm: f64,
    /// Of the largest difference over the largest published magnitude.
    pub largest: f64,
}

impl fmt::Display for HalfTolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1e} and {:.1e}", self.norm, self.largest)
    }
}

const fn at_most(norm: f64, largest: f64) -> HalfTolerance {
    HalfTolerance { norm, largest }
}

/// What no product in half precision reaches: look-ups, and the Haar transform.
const KEPT: HalfTolerance = at_most(1e-6, 1e-6);

/// The small model: values after the first blocks.
const SMALL_BLOCK: HalfTolerance = at_most(0.006, 0.012);
/// The small model: context and hidden rows.
const SMALL_STATES: HalfTolerance = at_most(0.01, 0.016);
/// The small model: logits of either pass, and guided ones.
const SMALL_LOGITS: HalfTolerance = at_most(0.012, 0.02);
/// The small model: leads of the largest logits, which are differences of them.
const SMALL_LEADS: HalfTolerance = at_most(0.1, 0.12);
/// The small model: mean cross-entropies.
const SMALL_LOSSES: HalfTolerance = at_most(1e-3, 1e-3);

/// The published size, whose 24 layers carry a rounding of `fp32` of 6e-8 as far as 2e-3: encoder and context.
const FULL_CONTEXT: HalfTolerance = at_most(0.08, 0.1);
/// The published size, all modalities in sight: hidden rows, which `torch.autocast` misses by 0.36.
const FULL_HIDDEN: HalfTolerance = at_most(0.4, 0.5);
/// The published size, all modalities in sight: each of the stored logits, and the largest ones in order.
const FULL_LARGEST: HalfTolerance = at_most(0.3, 0.5);
/// The published size, all modalities in sight: sums over the vocabulary, and the losses that follow.
const FULL_SUMS: HalfTolerance = at_most(0.12, 0.16);
/// The published size, generation from one modality: states and logits of the first step.
const FULL_FIRST_STEP: HalfTolerance = at_most(0.06, 0.08);
/// The published size, generation: the largest guided logits of every step.
const FULL_BEST: HalfTolerance = at_most(0.04, 0.05);
/// The published size, generation: leads of those.
const FULL_LEADS: HalfTolerance = at_most(0.6, 0.6);

/// Motion tokenizers: values inside.
const MOTION_INSIDE: HalfTolerance = at_most(0.008, 0.01);
/// Motion tokenizers: leads of the nearest codes.
const MOTION_LEADS: HalfTolerance = at_most(0.03, 0.03);
/// Motion tokenizers: clips, also in their own units.
const MOTION_CLIPS: HalfTolerance = at_most(0.02, 0.02);

/// Video tokenizer: values inside.
const VIDEO_INSIDE: HalfTolerance = at_most(0.0025, 0.0035);
/// Video tokenizer: what is rounded to digits; the largest difference is where `tanh` is steepest.
const VIDEO_BOUNDED: HalfTolerance = at_most(0.0025, 0.01);
/// Video tokenizer: the decoded video.
const VIDEO_DECODED: HalfTolerance = at_most(0.0025, 0.003);
/// Video tokenizer: pixels, at most one level off.
const PIXELS: HalfTolerance = at_most(0.003, 0.004);

/// File, tensors, tolerance; the first line that matches counts. A `*` stands for any text.
const TABLE: &[(&str, &str, HalfTolerance)] = &[
    ("tiny_forward", "out/enc_input", KEPT),
    ("tiny_forward", "out/enc_emb", KEPT),
    ("tiny_forward", "out/dec_input", KEPT),
    ("tiny_forward", "*_block0", SMALL_BLOCK),
    ("tiny_forward", "out/logits/*", SMALL_LOGITS),
    ("tiny_forward", "loss of *", SMALL_LOSSES),
    ("tiny_forward", "*", SMALL_STATES),
    ("tiny_gen_*", "*/margin", SMALL_LEADS),
    ("tiny_gen_*", "*", SMALL_LOGITS),
    ("full_forward", "out/encoder_out", FULL_CONTEXT),
    ("full_forward", "out/context", FULL_CONTEXT),
    ("full_forward", "out/decoder_out", FULL_HIDDEN),
    ("full_forward", "out/top16/*", FULL_LARGEST),
    ("full_forward", "*", FULL_SUMS),
    ("full_gen_*", "step0/dec_input", KEPT),
    ("full_gen_*", "step0/*", FULL_FIRST_STEP),
    ("full_gen_*", "greedy/step0/logits*", FULL_FIRST_STEP),
    ("full_gen_*", "*/top1", FULL_BEST),
    ("full_gen_*", "*/margin", FULL_LEADS),
    ("*", "quant", KEPT),
    ("*", "codes", KEPT),
    ("video_*", "tap/enc_patch", KEPT),
    ("video_*", "bounded", VIDEO_BOUNDED),
    ("video_*", "decoded*", VIDEO_DECODED),
    ("video_*", "video_out", PIXELS),
    ("video_*", "*", VIDEO_INSIDE),
    ("*", "margin", MOTION_LEADS),
    ("*", "encoder_out", MOTION_INSIDE),
    ("*", "latent", MOTION_INSIDE),
    ("*", "cos_top1", MOTION_INSIDE),
    ("*", "post_quant", MOTION_INSIDE),
    ("*", "*", MOTION_CLIPS),
];

/// File, tokens, and how many must be equal; the first line that matches counts.
///
/// Of tokenizers and of choices after the stored tokens of the steps before, one in a hundred fewer than what was measured,
/// and at least two. Of generations that start from their own tokens, half of what was measured: one other token changes
/// whatever is decoded after it, and which token it is differs from one processor to the next. Of choices among all logits
/// of a forward pass at the published size, three quarters of what was measured.
const AGREEMENTS: &[(&str, &str, usize)] = &[
    ("cam_tokenizer", "*tokens", 117),
    ("gaze_tokenizer", "*tokens", 117),
    ("video_tokenizer_clip9", "tokens", 190),
    ("video_tokenizer_clip17", "tokens", 1257),
    ("video_tokenizer_real16", "tokens", 5021),
    ("tiny_gen_depth2rgb", "*/choices", 312),
    ("tiny_gen_rgb2cam", "*/choices", 28),
    ("tiny_gen_rgb2depth", "*/choices", 313),
    ("tiny_gen_rgb2depth_then_cam", "*/choices", 342),
    ("tiny_gen_rgb2gaze", "*/choices", 28),
    ("full_gen_rgb2cam", "*/choices", 27),
    ("full_gen_rgb2gaze", "*/choices", 25),
    ("tiny_gen_depth2rgb", "*/final/*", 50),
    ("tiny_gen_rgb2cam", "greedy/final/*", 15),
    ("tiny_gen_rgb2cam", "official/final/*", 6),
    ("tiny_gen_rgb2depth", "*/final/*", 86),
    ("tiny_gen_rgb2depth_then_cam", "*/final/tok_depth", 104),
    ("tiny_gen_rgb2depth_then_cam", "*/final/tok_cam", 1),
    ("tiny_gen_rgb2gaze", "*/final/*", 15),
    ("full_gen_rgb2cam", "*/final/*", 14),
    ("full_gen_rgb2gaze", "*/final/*", 7),
    ("full_forward", "*/tok_cam", 5),
    ("full_forward", "*/tok_gaze", 6),
    ("full_forward", "*/tok_depth", 51),
    ("full_forward", "*/tok_rgb", 58),
];

/// The tolerance of a tensor, or of what else is compared under that name.
///
/// # Panics
/// When none are stated.
pub fn half_tolerance(file: &str, tensor: &str) -> HalfTolerance {
    let line = TABLE.iter().find(|(files, tensors, _)| matches(files, file) && matches(tensors, tensor));
    line.unwrap_or_else(|| panic!("no tolerance is stated for {tensor} of {file} in fp16")).2
}

/// How many tokens must be equal.
///
/// # Panics
/// When nothing is stated.
pub fn half_agreement(file: &str, tensor: &str) -> usize {
    let line = AGREEMENTS.iter().find(|(files, tensors, _)| matches(files, file) && matches(tensors, tensor));
    line.unwrap_or_else(|| panic!("no agreement is stated for {tensor} of {file} in fp16")).2
}
