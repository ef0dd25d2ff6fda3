//! The Haar transform of the video tokenizer (specification section 3.2) as one convolution of stride `patch`.
//!
//! The frames of one patch in time are the input channels of the convolution, so that it is two-dimensional. Its weight is
//! the matrix of all `log2(patch)` steps: plus or minus one, over `patch³` for analysis, exact in every float type.

use egom2p_graph::{Dim, Node};

use super::{
    context::Attribute,
    convolution::repeat_first,
    lowering::{Lowering, Value},
};
use crate::ExportError;

/// [`egom2p_graph::Op::HaarPatch`].
pub(super) fn patch(l: &mut Lowering<'_>, node: &Node, patch: usize) -> Result<Value, ExportError> {
    let graph = l.graph;
    let shape = &graph.node(node.inputs[0]).fact.shape;
    let channels = shape[1].as_fixed().unwrap_or_default();
    let x = l.frame_major(node.inputs[0])?;
    let x = repeat_first(l, &x, patch - 1);
    let to = [
        Dim::product([&node.fact.shape[0], &node.fact.shape[2]]),
        Dim::fixed(patch * channels),
        shape[3].clone(),
        shape[4].clone(),
    ];
    let x = l.reshape(&x, &[], &to)?;
    let (bands, steps) = (patch.pow(3), patch.ilog2());
    let mut weight = vec![0.0; bands * channels * patch * channels * patch * patch];
    for band in 0..bands {
        for channel in 0..channels {
            for voxel in 0..bands {
                let [t, h, w] = [voxel / (patch * patch), voxel / patch % patch, voxel % patch];
                let output = band * channels + channel;
                let input = t * channels + channel;
                let place = ((output * patch * channels + input) * patch + h) * patch + w;
                weight[place] = sign(band, [t, h, w], steps) / bands as f32;
            }
        }
    }
    let weight = l.out.floats(node.fact.dtype, &[bands * channels, patch * channels, patch, patch], weight);
    let attributes =
        [("kernel_shape", Attribute::Ints(vec![patch as i64; 2])), ("strides", Attribute::Ints(vec![patch as i64; 2]))];
    Ok(Value::Frames(l.out.node("Conv", &[&x, &weight], &attributes)))
}

/// [`egom2p_graph::Op::HaarUnpatch`]: the pixels of a patch are channels first, then spread out.
pub(super) fn unpatch(l: &mut Lowering<'_>, node: &Node, patch: usize) -> Result<Value, ExportError> {
    let graph = l.graph;
    let shape = &graph.node(node.inputs[0]).fact.shape;
    let channels = node.fact.shape[1].as_fixed().unwrap_or_default();
    let x = l.frames(node.inputs[0])?;
    let (bands, steps) = (patch.pow(3), patch.ilog2());
    let mut weight = vec![0.0; bands * channels * bands * channels];
    for voxel in 0..bands {
        let [t, h, w] = [voxel / (patch * patch), voxel / patch % patch, voxel % patch];
        for channel in 0..channels {
            for band in 0..bands {
                let output = ((t * channels + channel) * patch + h) * patch + w;
                weight[output * bands * channels + band * channels + channel] = sign(band, [t, h, w], steps);
            }
        }
    }
    let weight = l.out.floats(node.fact.dtype, &[bands * channels, bands * channels, 1, 1], weight);
    let y = l.out.node("Conv", &[&x, &weight], &[("kernel_shape", Attribute::Ints(vec![1, 1]))]);
    let spread = [("blocksize", Attribute::Int(patch as i64)), ("mode", Attribute::Text("CRD"))];
    let y = l.out.node("DepthToSpace", &[&y], &spread);
    let to = [
        shape[0].clone(),
        shape[2].times(patch),
        Dim::fixed(channels),
        node.fact.shape[3].clone(),
        node.fact.shape[4].clone(),
    ];
    let mut y = l.reshape(&y, &[], &to)?;
    if patch > 1 {
        let [start, end, axis] = [patch as i64 - 1, i64::MAX, 1].map(|index| l.out.integers(&[index]));
        y = l.out.node("Slice", &[&y, &start, &end, &axis], &[]);
    }
    Ok(Value::Frames(l.merge(&y, &node.fact.shape)?))
}

/// The sign of a voxel in a band. The bands of the first step, which acts on the lowest bit of the coordinates, vary
/// fastest; in every step bits 2, 1, 0 of a band ask for differences in time, height and width.
fn sign(band: usize, [t, h, w]: [usize; 3], steps: u32) -> f32 {
    let odd = (0..steps).map(|step| {
        let voxel = (t >> step & 1) << 2 | (h >> step & 1) << 1 | w >> step & 1;
        (band >> (3 * step) & voxel & 7).count_ones()
    });
    if odd.sum::<u32>().is_multiple_of(2) { 1.0 } else { -1.0 }
}
