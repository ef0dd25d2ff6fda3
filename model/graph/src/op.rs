use crate::{DType, Literal};

/// Every operation that a stage may use.
///
/// The list is closed: readers match it without a catch-all arm, so that a new operation does not compile until every
/// reader says what it means. Each is an intent, such as "attention", that a reader lowers as suits its target.
/// Inputs are listed in order; of one float type where no type is given, which the result has too. Elementwise operations
/// broadcast as in `NumPy`.
///
/// A tensor of a half type (`f16`, `bf16`) holds values of that type exactly. An operation on halves computes and sums in
/// `f32` and rounds its result once, to the nearest value of the type, ties to even; beyond the range it is infinite.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// A tensor fed at run time. No inputs.
    Input {
        /// The name that callers feed it by.
        name: &'static str,
    },
    /// A learned tensor or stored table, `f32`. No inputs.
    Param {
        /// Its published name, also its name in the weights file.
        name: String,
    },
    /// A tensor known when the graph is built. No inputs.
    Constant(Literal),

    /// `a + b`. Inputs: a, b, both of one float type or both `i64`.
    Add,
    /// `a - b`. Inputs: a, b, both of one float type or both `i64`.
    Sub,
    /// `a * b`. Inputs: a, b, both of one float type or both `i64`.
    Mul,
    /// Whether `a == b`. Inputs: a, b `i64`. Output `bool`.
    Equal,
    /// Whether both hold. Inputs: a, b `bool`. Output `bool`.
    And,
    /// `a` where the condition holds, else `b`. Inputs: condition `bool`, a, b of one type.
    Where,
    /// `x * sigmoid(x)`. Inputs: x.
    Silu,
    /// `x * Phi(x)` with the exact normal distribution function (erf, no tanh approximation). Inputs: x.
    Gelu,
    /// Hyperbolic tangent. Inputs: x.
    Tanh,
    /// The nearest value of another float type, ties to even; beyond the range it is infinite. Inputs: x of any float type.
    Cast {
        /// The type of the result: a float type.
        to: DType,
    },

    /// The same values, row-major, in the node's shape. Inputs: x.
    Reshape,
    /// Axes in another order: output axis `i` is input axis `perm[i]`. Inputs: x.
    Transpose {
        /// A permutation of the axes.
        perm: Vec<usize>,
    },
    /// `len` entries from `start` along `axis`, whose size is fixed. Inputs: x.
    Slice {
        /// The axis that is cut.
        axis: usize,
        /// The first entry kept.
        start: usize,
        /// How many entries are kept.
        len: usize,
    },

    /// Rows of a table. Inputs: table `[rows, dim]`, ids `i64` `[..]` in `0..rows`. Output `[.., dim]`.
    Embedding,
    /// `x · weightᵀ (+ bias)` over the last axis. Inputs: x `[.., in]`, weight `[out, in]`, bias `[out]` if `bias`.
    Linear {
        /// Whether a third input is added.
        bias: bool,
    },
    /// Layer normalisation over the last axis, biased variance; `f32` only.
    /// Inputs: x `[.., dim]`, weight `[dim]`, bias `[dim]` if `bias`.
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
        /// Whether a third input is added.
        bias: bool,
    },
    /// Group normalisation with one group, of every frame by itself: statistics over channels, height and width; `f32` only.
    /// Inputs: x `[batch, channels, frames, height, width]`, weight `[channels]`, bias `[channels]`.
    FrameNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Scaled dot-product attention: per head, `softmax(q · kᵀ * scale) · v` over the permitted keys.
    ///
    /// A query with no permitted key gets exactly zero. Of halves, the softmax is `f32` and its weights are rounded to the
    /// half type before their product with v. Inputs: q `[batch, queries, heads * d]`, k `[batch, keys, heads * d]`,
    /// v `[batch, keys, heads * e]`, and the mask that [`AttentionMask`] names. Output `[batch, queries, heads * e]`.
    Attention {
        /// The number of heads; each takes a block of `d` consecutive features.
        heads: usize,
        /// The factor on the products, usually `d^-0.5`.
        scale: f32,
        /// Whether query `i` is kept from keys after `i`.
        causal: bool,
        /// Which keys a query may use.
        mask: AttentionMask,
    },
    /// A 3-D convolution that never looks ahead in time: the first frame is repeated `kernel_frames - 1` times in front,
    /// space is padded with zeros. Time stride 1. Inputs: x `[batch, in, frames, height, width]`,
    /// weight `[out, in, kernel_frames, kernel_height, kernel_width]`, bias `[out]`.
    CausalConv {
        /// The stride in height and in width.
        stride: usize,
        /// Zero rows and columns around each frame.
        padding: Padding,
    },
    /// The mean of every 2 x 2 block of pixels, stride 2. Inputs: x `[batch, channels, frames, height, width]`.
    AveragePool,
    /// Every pixel repeated twice in height and in width. Inputs: x `[batch, channels, frames, height, width]`.
    UpsampleNearest,
    /// Repeats the first frame `patch` times in all, then `log2(patch)` three-dimensional Haar steps (specification section 3.2).
    /// Inputs: x `[batch, channels, frames, height, width]`.
    /// Output `[batch, channels * patch³, (frames + patch - 1) / patch, height / patch, width / patch]`.
    HaarPatch {
        /// A power of two.
        patch: usize,
    },
    /// The inverse of [`Op::HaarPatch`]; drops the first `patch - 1` frames.
    /// Inputs: x `[batch, channels * patch³, t, h, w]`. Output `[batch, channels, t * patch - patch + 1, h * patch, w * patch]`.
    HaarUnpatch {
        /// A power of two.
        patch: usize,
    },

    /// `x / max(|x|, epsilon)` over the last axis, Euclidean norm; `f32` only. Inputs: x `[.., dim]`.
    L2Normalize {
        /// The smallest divisor.
        epsilon: f32,
    },
    /// The index of the first largest value of the last axis; `f32` only. Inputs: x `[.., n]`. Output `i64` `[..]`.
    ArgMax,
    /// Finite scalar quantisation to one index per place (specification section 3.3): bounds every channel, rounds half to even,
    /// and combines the digits; `f32` only. Inputs: x `[batch, levels, t, h, w]`. Output `i64` `[batch, t, h, w]`.
    FsqQuantize {
        /// The number of values of every channel; the channel count is its length.
        levels: Vec<usize>,
    },
    /// The codes of indices, in `[-1, 1]`, inverse of [`Op::FsqQuantize`]. Inputs: tokens `i64` `[batch, t, h, w]`.
    /// Output `f32` `[batch, levels, t, h, w]`.
    FsqDequantize {
        /// The number of values of every channel.
        levels: Vec<usize>,
    },
}

/// Which mask an [`Op::Attention`] takes as its fourth input; `true` permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttentionMask {
    /// No mask: every query may use every key.
    None,
    /// One row for all queries and heads: `bool` `[batch, keys]`.
    Keys,
    /// One row for every query: `bool` `[batch, queries, keys]`.
    Pairs,
}

/// Zero rows and columns around a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Padding {
    /// Rows above and columns to the left.
    pub before: usize,
    /// Rows below and columns to the right.
    pub after: usize,
}
