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
    l.out.call(FUNCTION, [("x", x), ("weight", weight), ("bias", bias)], |out, [x, weight, bias]| {
        let sizes = Sizes::of(out, &x, &weight);
        let tiles = tiles(out, &x, &sizes);
        let combined = combined(out, &tiles, &sizes);
        let (kernels, biases) = (kernels(out, &weight, &sizes), biases(out, &bias));
        let attributes = [
            ("group", Attribute::Int(SPAN as i64)),
            ("kernel_shape", Attribute::Ints(vec![1, 3])),
            ("pads", Attribute::Ints(vec![0, 1, 0, 1])),
        ];
        let convolved = out.node("Conv", &[&combined, &kernels, &biases], &attributes);
        rows(out, &convolved, &sizes)
    })
}

/// Sizes that are known only at run time, each `i64 []`.
struct Sizes {
    n_in: Wire,
    n_out: Wire,
    height: Wire,
    width: Wire,
    /// Groups of four rows, of which the last may reach over the end.
    n_tiles: Wire,
}

impl Sizes {
    fn of(out: &mut Context<'_>, x: &Wire, weight: &Wire) -> Self {
        let (x, weight) = (out.node("Shape", &[x], &[]), out.node("Shape", &[weight], &[]));
        let mut size = |shape: &Wire, axis| {
            let axis = out.integer(axis);
            out.node("Gather", &[shape, &axis], &[])
        };
        let [n_out, n_in, height, width] = [size(&weight, 0), size(&weight, 1), size(&x, 2), size(&x, 3)];
        let [tile, rest] = [TILE as i64, TILE as i64 - 1].map(|value| out.integer(value));
        let reach = out.node("Add", &[&height, &rest], &[]);
        let n_tiles = out.node("Div", &[&reach, &tile], &[]);
        Self { n_in, n_out, height, width, n_tiles }
    }
}

/// `[n, 6, in * h / 4, w]`: every tile's first rows, then every tile's second rows, and so on. Tiles of six rows overlap
/// their neighbours by two; rows outside the image are zero.
///
/// Rows are gathered, which ONNX Runtime does on all threads; its `Pad` and its `Slice` take one.
fn tiles(out: &mut Context<'_>, x: &Wire, sizes: &Sizes) -> Wire {
    // All rows of an image one after the other, and a row of zeros.
    let rows = vector(out, &[0, -1], &[&sizes.width]);
    let rows = out.node("Reshape", &[x, &rows], &[]);
    let n_images = out.node("Shape", &[x], &[("end", Attribute::Int(1))]);
    let one_row = vector(out, &[1], &[&sizes.width]);
    let zeros = out.node("Concat", &[&n_images, &one_row], &[("axis", Attribute::Int(0))]);
    let zero = out.float(0.0);
    let zeros = out.node("Expand", &[&zero, &zeros], &[]);
    let rows = out.node("Concat", &[&rows, &zeros], &[("axis", Attribute::Int(1))]);

    // [6, 1, h / 4]: the row of the image that is row k of tile q, 4 q + k - 1.
    let tile = out.integer(TILE as i64);
    let tops = count(out, &sizes.n_tiles);
    let tops = out.node("Mul", &[&tops, &tile], &[]);
    let offsets = (0..SPAN as i64).map(|offset| offset - 1).collect();
    let offsets = out.embed(&[SPAN, 1, 1], &LiteralData::I64(offsets));
    let row = out.node("Add", &[&offsets, &tops], &[]);
    let first = out.integer(0);
    let from_first = out.node("GreaterOrEqual", &[&row, &first], &[]);
    let to_last = out.node("Less", &[&row, &sizes.height], &[]);
    let is_inside = out.node("And", &[&from_first, &to_last], &[]);

    // [6, in, h / 4]: its place among all rows.
    let channels = column(out, &sizes.n_in);
    let starts = out.node("Mul", &[&channels, &sizes.height], &[]);
    let places = out.node("Add", &[&starts, &row], &[]);
    let zero_place = out.node("Mul", &[&sizes.n_in, &sizes.height], &[]);
    let places = out.node("Where", &[&is_inside, &places, &zero_place], &[]);
    let apart = out.integers(&[SPAN as i64, -1]);
    let places = out.node("Reshape", &[&places, &apart], &[]);
    out.node("Gather", &[&rows, &places], &[("axis", Attribute::Int(1))])
}

/// `[n, 6 * in, h / 4, w]`: the six combinations of the rows of every tile.
fn combined(out: &mut Context<'_>, tiles: &Wire, sizes: &Sizes) -> Wire {
    let apart = out.integers(&[0, SPAN as i64, -1]);
    let flat = out.node("Reshape", &[tiles, &apart], &[]);
    let matrix = out.embed(&[SPAN, SPAN], &LiteralData::F32(INPUT.to_vec()));
    let combined = out.node("MatMul", &[&matrix, &flat], &[]);
    let n_channels = out.integer(SPAN as i64);
    let n_channels = out.node("Mul", &[&sizes.n_in, &n_channels], &[]);
    let shape = vector(out, &[0], &[&n_channels, &sizes.n_tiles, &sizes.width]);
    out.node("Reshape", &[&combined, &shape], &[])
}

/// `[n, out, h, w]` from the six convolutions `[n, 6 * out, h / 4, w]`.
fn rows(out: &mut Context<'_>, convolved: &Wire, sizes: &Sizes) -> Wire {
    let apart = out.integers(&[0, SPAN as i64, -1]);
    let flat = out.node("Reshape", &[convolved, &apart], &[]);
    let matrix = out.embed(&[TILE, SPAN], &LiteralData::F32(OUTPUT.to_vec()));
    let rows = out.node("MatMul", &[&matrix, &flat], &[]);
    let shape = vector(out, &[0, -1], &[&sizes.width]);
    let rows = out.node("Reshape", &[&rows, &shape], &[]);

    // [out, h]: row y of a channel lies with the (y mod 4)th rows of all tiles, in tile y / 4.
    let tile = out.integer(TILE as i64);
    let y = count(out, &sizes.height);
    let [of_tile, number] = ["Div", "Mod"].map(|op| out.node(op, &[&y, &tile], &[]));
    let n_rows = out.node("Mul", &[&sizes.n_out, &sizes.n_tiles], &[]);
    let starts = out.node("Mul", &[&number, &n_rows], &[]);
    let starts = out.node("Add", &[&starts, &of_tile], &[]);
    let channels = column(out, &sizes.n_out);
    let channels = out.node("Mul", &[&channels, &sizes.n_tiles], &[]);
    let places = out.node("Add", &[&channels, &starts], &[]);
    out.node("Gather", &[&rows, &places], &[("axis", Attribute::Int(1))])
}

/// `[6 * out, in, 1, 3]`: the combinations of the rows of every kernel.
fn kernels(out: &mut Context<'_>, weight: &Wire, sizes: &Sizes) -> Wire {
    let rows = out.node("Transpose", &[weight], &[("perm", Attribute::Ints(vec![2, 0, 1, 3]))]);
    let by_row = out.integers(&[3, -1]);
    let rows = out.node("Reshape", &[&rows, &by_row], &[]);
    let matrix = out.embed(&[SPAN, 3], &LiteralData::F32(KERNEL.to_vec()));
    let kernels = out.node("MatMul", &[&matrix, &rows], &[]);
    let window = out.integers(&[1, 3]);
    let channels = vector(out, &[-1], &[&sizes.n_in]);
    let shape = out.node("Concat", &[&channels, &window], &[("axis", Attribute::Int(0))]);
    out.node("Reshape", &[&kernels, &shape], &[])
}

/// `[6 * out]`.
fn biases(out: &mut Context<'_>, bias: &Wire) -> Wire {
    let [one_row, flat] = [out.integers(&[1, -1]), out.integers(&[-1])];
    let bias = out.node("Reshape", &[bias, &one_row], &[]);
    let column = out.embed(&[SPAN, 1], &LiteralData::F32(BIASED.to_vec()));
    let biases = out.node("MatMul", &[&column, &bias], &[]);
    out.node("Reshape", &[&biases, &flat], &[])
}

/// `i64`: the numbers of `head`, then sizes.
fn vector(out: &mut Context<'_>, head: &[i64], sizes: &[&Wire]) -> Wire {
    let (head, flat) = (out.integers(head), out.integers(&[1]));
    let mut parts = vec![head];
    for size in sizes {
        parts.push(out.node("Reshape", &[size, &flat], &[]));
    }
    out.node("Concat", &parts.iter().collect::<Vec<_>>(), &[("axis", Attribute::Int(0))])
}

/// `i64 [n]`: 0, 1, …
fn count(out: &mut Context<'_>, n: &Wire) -> Wire {
    let [zero, one] = [out.integer(0), out.integer(1)];
    out.node("Range", &[&zero, n, &one], &[])
}

/// `i64 [n, 1]`: 0, 1, …
fn column(out: &mut Context<'_>, n: &Wire) -> Wire {
    let (numbers, last) = (count(out, n), out.integers(&[1]));
    out.node("Unsqueeze", &[&numbers, &last], &[])
}
