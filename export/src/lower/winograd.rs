//! 3 x 3 convolutions with half the multiplications, for ONNX Runtime, whose own convolution computes every product.
//!
//! Winograd's minimal filtering F(4, 3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks") over rows:
//! four rows of a result come from six combinations of six rows of the input, each of which takes a 1 x 3 convolution.
//! Measured on 5 frames, one thread: 512 to 512 channels at 64 x 64 in 453 ms for 728 ms, 256 to 256 in 130 ms for 168 ms,
//! 128 to 128 in the same time. Results differ from the plain convolution by 1e-6 of the largest.
//!
//! It is a function of the model, so that a listing shows one node a convolution; ONNX Runtime unfolds it and computes the
//! combinations of weights once.

use egom2p_graph::{LiteralData, Padding};

use super::{
    context::{Attribute, Context, Wire},
    lowering::Lowering,
};

/// The name of the function: image `[n, in, h, w]`, weight `[out, in, 3, 3]`, bias `[out]`.
const FUNCTION: &str = "WinogradConv";
/// Rows of the result that are computed together.
const TILE: usize = 4;
/// Rows of the input that they depend on, and combinations of them.
const SPAN: usize = 6;

/// Combinations of six rows of the input, by combination.
#[rustfmt::skip]
const INPUT: [f32; SPAN * SPAN] = [
    4.0,  0.0, -5.0,  0.0, 1.0, 0.0,
    0.0, -4.0, -4.0,  1.0, 1.0, 0.0,
    0.0,  4.0, -4.0, -1.0, 1.0, 0.0,
    0.0, -2.0, -1.0,  2.0, 1.0, 0.0,
    0.0,  2.0, -1.0, -2.0, 1.0, 0.0,
    0.0,  4.0,  0.0, -5.0, 0.0, 1.0,
];

/// Combinations of the three rows of a kernel, by combination.
#[rustfmt::skip]
const KERNEL: [f32; SPAN * 3] = [
     1.0 / 4.0,   0.0,         0.0,
    -1.0 / 6.0,  -1.0 / 6.0,  -1.0 / 6.0,
    -1.0 / 6.0,   1.0 / 6.0,  -1.0 / 6.0,
     1.0 / 24.0,  1.0 / 12.0,  1.0 / 6.0,
     1.0 / 24.0, -1.0 / 12.0,  1.0 / 6.0,
     0.0,         0.0,         1.0,
];

/// Rows of the result from the six convolutions, by row.
#[rustfmt::skip]
const OUTPUT: [f32; TILE * SPAN] = [
    1.0, 1.0,  1.0, 1.0,  1.0, 0.0,
    0.0, 1.0, -1.0, 2.0, -2.0, 0.0,
    0.0, 1.0,  1.0, 4.0,  4.0, 0.0,
    0.0, 1.0, -1.0, 8.0, -8.0, 1.0,
];

/// The one convolution that every row of the result has once: what is added to it is added to all.
const BIASED: [f32; SPAN] = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];

/// Whether a convolution of kernel `[out, in, 1, height, width]` is of the kind, and large enough to gain.
pub(super) fn pays(kernel: &[usize], stride: usize, padding: Padding) -> bool {
    // ONNX Runtime's blocked layout takes groups of a multiple of 16 channels.
    const BLOCK: usize = 16;
    const SMALLEST: usize = 128 * 256;
    let [n_out, n_in, 1, 3, 3] = *kernel else { return false };
    let fits = n_out.is_multiple_of(BLOCK) && n_in.is_multiple_of(BLOCK) && n_in >= 128;
    fits && n_out.saturating_mul(n_in) >= SMALLEST && stride == 1 && padding == Padding { before: 1, after: 1 }
}

/// The convolution of images `x` with stride 1 and one row and column of zeros around.
pub(super) fn conv(l: &mut Lowering<'_>, x: &Wire, weight: &Wire, bias: &Wire) -> Wire {
    l.out.call(FUNCTION, &[x, weight, bias], |out, inputs| {
        let [x, weight, bias] = inputs else { unreachable!("the function has three inputs") };
        let convolved = out_of_tiles(out, x, weight, bias);
        rows(out, x, &convolved)
    })
}

/// `[n, 6 * out, h / 4, w]`: the six convolutions.
fn out_of_tiles(out: &mut Context<'_>, x: &Wire, weight: &Wire, bias: &Wire) -> Wire {
    let tiles = tiles(out, x);
    let tiled_shape = out.node("Shape", &[&tiles], &[]);
    let apart = out.integers(&[0, SPAN as i64, -1]);
    let flat = out.node("Reshape", &[&tiles, &apart], &[]);
    let matrix = out.embed(&[SPAN, SPAN], &LiteralData::F32(INPUT.to_vec()));
    let combined = out.node("MatMul", &[&matrix, &flat], &[]);
    let combined = out.node("Reshape", &[&combined, &tiled_shape], &[]);

    // [out, in, 3, 3] to [3, out * in * 3], combined to [6, out * in * 3], read as [6 * out, in, 1, 3].
    let kernel_rows = out.node("Transpose", &[weight], &[("perm", Attribute::Ints(vec![2, 0, 1, 3]))]);
    let by_row = out.integers(&[3, -1]);
    let kernel_rows = out.node("Reshape", &[&kernel_rows, &by_row], &[]);
    let matrix = out.embed(&[SPAN, 3], &LiteralData::F32(KERNEL.to_vec()));
    let kernels = out.node("MatMul", &[&matrix, &kernel_rows], &[]);
    let n_in = axis(out, weight, 1);
    let [rest, window] = [out.integers(&[-1]), out.integers(&[1, 3])];
    let shape = out.node("Concat", &[&rest, &n_in, &window], &[("axis", Attribute::Int(0))]);
    let kernels = out.node("Reshape", &[&kernels, &shape], &[]);

    let one_row = out.integers(&[1, -1]);
    let bias = out.node("Reshape", &[bias, &one_row], &[]);
    let column = out.embed(&[SPAN, 1], &LiteralData::F32(BIASED.to_vec()));
    let biases = out.node("MatMul", &[&column, &bias], &[]);
    let biases = out.node("Reshape", &[&biases, &rest], &[]);

    let attributes = [
        ("group", Attribute::Int(SPAN as i64)),
        ("kernel_shape", Attribute::Ints(vec![1, 3])),
        ("pads", Attribute::Ints(vec![0, 1, 0, 1])),
    ];
    out.node("Conv", &[&combined, &kernels, &biases], &attributes)
}

/// `[n, 6 * in, h / 4, w]`: of every group of six rows that overlaps the next by two, each row by itself. The height is
/// filled up to a multiple of four with zeros.
fn tiles(out: &mut Context<'_>, x: &Wire) -> Wire {
    let height = axis(out, x, 2);
    let [tile, one] = [out.integers(&[TILE as i64]), out.integers(&[1])];
    let negated = out.node("Neg", &[&height], &[]);
    let missing = out.node("Mod", &[&negated, &tile], &[]);
    let below = out.node("Add", &[&missing, &one], &[]);
    let [before, beside] = [out.integers(&[0, 0, 1, 0, 0, 0]), out.integers(&[0])];
    let pads = out.node("Concat", &[&before, &below, &beside], &[("axis", Attribute::Int(0))]);
    let padded = out.node("Pad", &[x, &pads], &[]);
    let mut parts = Vec::with_capacity(SPAN);
    for row in 0..SPAN {
        // The last group's fifth and sixth row would begin a group of their own.
        let end = if row + TILE < SPAN { -2 } else { i64::MAX };
        let [start, end, axes] = [row as i64, end, 2].map(|index| out.integers(&[index]));
        parts.push(out.node("Slice", &[&padded, &start, &end, &axes, &tile], &[]));
    }
    out.node("Concat", &parts.iter().collect::<Vec<_>>(), &[("axis", Attribute::Int(1))])
}

/// `[n, out, h, w]`, the height being that of `x`, from `[n, 6 * out, h / 4, w]`.
fn rows(out: &mut Context<'_>, x: &Wire, convolved: &Wire) -> Wire {
    let apart = out.integers(&[0, SPAN as i64, -1]);
    let flat = out.node("Reshape", &[convolved, &apart], &[]);
    let matrix = out.embed(&[TILE, SPAN], &LiteralData::F32(OUTPUT.to_vec()));
    let rows = out.node("MatMul", &[&matrix, &flat], &[]);
    let (tiles_high, width) = (axis(out, convolved, 2), axis(out, convolved, 3));
    let leading = out.integers(&[0, TILE as i64, -1]);
    let shape = out.node("Concat", &[&leading, &tiles_high, &width], &[("axis", Attribute::Int(0))]);
    let rows = out.node("Reshape", &[&rows, &shape], &[]);
    let rows = out.node("Transpose", &[&rows], &[("perm", Attribute::Ints(vec![0, 2, 3, 1, 4]))]);
    let leading = out.integers(&[0, 0, -1]);
    let shape = out.node("Concat", &[&leading, &width], &[("axis", Attribute::Int(0))]);
    let rows = out.node("Reshape", &[&rows, &shape], &[]);
    let height = axis(out, x, 2);
    let [start, axes] = [out.integers(&[0]), out.integers(&[2])];
    out.node("Slice", &[&rows, &start, &height, &axes], &[])
}

/// `i64 [1]`: the size of one axis.
fn axis(out: &mut Context<'_>, x: &Wire, axis: i64) -> Wire {
    out.node("Shape", &[x], &[("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))])
}
