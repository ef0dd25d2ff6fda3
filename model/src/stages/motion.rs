use egom2p_graph::{Builder, DType, Dim, Value};

use crate::blocks::transformer::motion_block;
use crate::blocks::{NORM_EPSILON, mlp};
use crate::{MotionTokenizerConfig, MotionTokens};

/// The smallest length that a latent or a code is divided by before they are compared (specification section 2.2).
const SMALLEST_LENGTH: f32 = 1e-12;

/// What a motion tokenizer reads and writes.
#[derive(Clone, Copy)]
pub(super) enum Sequence {
    /// Nine values a sample: two columns of a rotation and a translation, normalised.
    Camera,
    /// x and y a sample; the encoder also reads whether they are valid.
    Gaze,
}

impl Sequence {
    fn channels(self) -> usize {
        match self {
            Self::Camera => 9,
            Self::Gaze => 2,
        }
    }
}

/// A clip to the indices of the nearest codes (specification sections 2.1 and 2.2).
pub(super) fn encoder<'g>(
    g: &'g Builder,
    sequence: Sequence,
    motion: MotionTokens,
    config: &MotionTokenizerConfig,
) -> Value<'g> {
    let latents = analysis(g, sequence, motion, config);
    let codes = codebook(g, motion, config);
    latents.l2_normalize(SMALLEST_LENGTH).project(codes.l2_normalize(SMALLEST_LENGTH), None).arg_max()
}

/// A clip to what is compared with the codes: `[batch, tokens, code_dim]`.
pub(super) fn analysis<'g>(
    g: &'g Builder,
    sequence: Sequence,
    motion: MotionTokens,
    config: &MotionTokenizerConfig,
) -> Value<'g> {
    let samples =
        |name, channels: usize| g.input(name, DType::F32, [Dim::from("batch"), motion.samples.into(), channels.into()]);
    let clip = match sequence {
        Sequence::Camera => samples("camera", sequence.channels()),
        Sequence::Gaze => {
            let gaze = samples("gaze", 3);
            gaze.slice(2, 0, sequence.channels()) * gaze.slice(2, 2, 1)
        }
    };
    let latents = g.enter("encoder", || {
        let x = strided_conv(g, clip, sequence.channels(), motion, config.dim);
        transformer(g, x, motion, config)
    });
    pointwise(g, latents, "quant_proj", config.dim, config.code_dim)
}

/// Indices of codes to a clip (specification sections 2.1 and 2.2); the codes keep their stored lengths.
pub(super) fn decoder<'g>(
    g: &'g Builder,
    sequence: Sequence,
    motion: MotionTokens,
    config: &MotionTokenizerConfig,
) -> Value<'g> {
    let tokens = g.input("tokens", DType::I64, [Dim::from("batch"), motion.n_tokens().into()]);
    synthesis(g, codebook(g, motion, config).embedding(tokens), sequence, motion, config)
}

/// Codes `[batch, tokens, code_dim]` to a clip.
pub(super) fn synthesis<'g>(
    g: &'g Builder,
    codes: Value<'g>,
    sequence: Sequence,
    motion: MotionTokens,
    config: &MotionTokenizerConfig,
) -> Value<'g> {
    let x = pointwise(g, codes, "post_quant_proj", config.code_dim, config.dim);
    let (steps, channels) = (motion.n_tokens(), sequence.channels());
    g.enter("decoder", || {
        let x = transformer(g, x, motion, config);
        let pairs = x.linear("out_proj", channels * MotionTokens::COMPRESSION, true);
        let pairs =
            pairs.reshape([Dim::from("batch"), steps.into(), channels.into(), MotionTokens::COMPRESSION.into()]);
        pairs.transpose(&[0, 1, 3, 2]).reshape([Dim::from("batch"), motion.samples.into(), channels.into()])
    })
}

/// The convolution with kernel 2 and stride 2 that makes one row of two samples, as a product.
fn strided_conv<'g>(g: &'g Builder, clip: Value<'g>, channels: usize, motion: MotionTokens, dim: usize) -> Value<'g> {
    const KERNEL: usize = MotionTokens::COMPRESSION;
    let steps = motion.n_tokens();
    let pairs = clip.reshape([Dim::from("batch"), steps.into(), KERNEL.into(), channels.into()]);
    let taps = pairs.transpose(&[0, 1, 3, 2]).reshape([Dim::from("batch"), steps.into(), (channels * KERNEL).into()]);
    g.enter("conv", || {
        let weight = g.param("weight", &[dim, channels, KERNEL]).reshape([dim, channels * KERNEL]);
        taps.project(weight, Some(g.param("bias", &[dim])))
    })
}

/// The position table, the blocks and the last MLP of either side.
fn transformer<'g>(g: &'g Builder, x: Value<'g>, motion: MotionTokens, config: &MotionTokenizerConfig) -> Value<'g> {
    let mut x = x + g.param("position_embeddings", &[1, motion.n_tokens(), config.dim]);
    for block in 0..config.blocks {
        x = g.enter("blocks", || g.enter(block, || motion_block(g, x, config)));
    }
    let h = x.layer_norm("norm_mlp", NORM_EPSILON, true);
    x + g.enter("post_mlp", || mlp::plain(h, config.dim, config.mlp_hidden, Value::tanh))
}

/// A convolution with kernel 1, as a product.
fn pointwise<'g>(g: &'g Builder, x: Value<'g>, name: &str, from: usize, to: usize) -> Value<'g> {
    g.enter(name, || {
        let weight = g.param("weight", &[to, from, 1]).reshape([to, from]);
        x.project(weight, Some(g.param("bias", &[to])))
    })
}

fn codebook<'g>(g: &'g Builder, motion: MotionTokens, config: &MotionTokenizerConfig) -> Value<'g> {
    g.enter("quantize", || g.enter("_codebook", || g.param("embed", &[motion.vocabulary, config.code_dim])))
}
