//! Convolutions and resampling of videos. Frames are images wherever time does not matter.

use egom2p_graph::{Dim, LiteralData, Node, Padding};

use super::{
    context::{Attribute, Wire},
    lowering::{Lowering, Value},
    winograd,
};
use crate::{ExportError, Target};

/// [`egom2p_graph::Op::CausalConv`]. Kernels over space alone and over time alone are two-dimensional convolutions, which
/// ONNX Runtime does a fifth faster than three-dimensional ones.
pub(super) fn causal_conv(
    l: &mut Lowering<'_>,
    node: &Node,
    stride: usize,
    padding: Padding,
) -> Result<Value, ExportError> {
    let kernel: Vec<usize> = l.graph.node(node.inputs[1]).fact.shape.iter().filter_map(Dim::as_fixed).collect();
    let no_padding = Padding { before: 0, after: 0 };
    match kernel[2..] {
        [1, _, _] => over_space(l, node, &kernel, stride, padding),
        [_, 1, 1] if stride == 1 && padding == no_padding => over_time(l, node, &kernel),
        _ => over_both(l, node, &kernel, stride, padding),
    }
}

/// [`egom2p_graph::Op::AveragePool`].
pub(super) fn average_pool(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    let x = l.frames(node.inputs[0])?;
    let attributes = [("kernel_shape", Attribute::Ints(vec![2, 2])), ("strides", Attribute::Ints(vec![2, 2]))];
    Ok(Value::Frames(l.out.node("AveragePool", &[&x], &attributes)))
}

/// [`egom2p_graph::Op::UpsampleNearest`].
pub(super) fn upsample_nearest(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    let x = l.frames(node.inputs[0])?;
    let scales = l.out.embed(&[4], &LiteralData::F32(vec![1.0, 1.0, 2.0, 2.0]));
    let attributes = [
        ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
        ("mode", Attribute::Text("nearest")),
        ("nearest_mode", Attribute::Text("floor")),
    ];
    Ok(Value::Frames(l.out.node("Resize", &[&x, &Wire::absent(), &scales], &attributes)))
}

/// Repeats the first of `[batch, frames, ..]` in front, `n` times.
pub(super) fn repeat_first(l: &mut Lowering<'_>, video: &Wire, n: usize) -> Wire {
    if n == 0 {
        return video.clone();
    }
    let [zero, one] = [l.out.integers(&[0]), l.out.integers(&[1])];
    let first = l.out.node("Slice", &[video, &zero, &one, &one], &[]);
    let parts: Vec<&Wire> = std::iter::repeat_n(&first, n).chain([video]).collect();
    l.out.node("Concat", &parts, &[("axis", Attribute::Int(1))])
}

fn over_space(
    l: &mut Lowering<'_>,
    node: &Node,
    kernel: &[usize],
    stride: usize,
    padding: Padding,
) -> Result<Value, ExportError> {
    let x = l.frames(node.inputs[0])?;
    let weight = l.read_as(node.inputs[1], &[kernel[0], kernel[1], kernel[3], kernel[4]])?;
    let bias = l.plain(node.inputs[2])?;
    if l.out.target() == Target::OnnxRuntimeCpu && winograd::pays(kernel, stride, padding) {
        return Ok(Value::Frames(winograd::conv(l, &x, &weight, &bias)));
    }
    let pads = [padding.before, padding.before, padding.after, padding.after];
    Ok(Value::Frames(conv(l, [&x, &weight, &bias], &kernel[3..], &[stride, stride], &pads)))
}

/// Over `[batch, channels, frames, height * width]`, after the first frame was repeated.
fn over_time(l: &mut Lowering<'_>, node: &Node, kernel: &[usize]) -> Result<Value, ExportError> {
    let graph = l.graph;
    let shape = &graph.node(node.inputs[0]).fact.shape;
    let [batch, frames, pixels] = [shape[0].clone(), shape[2].clone(), Dim::product(&shape[3..])];
    let x = l.frames(node.inputs[0])?;
    let x = l.flatten(&x, shape)?;
    let x = repeat_first(l, &x, kernel[2] - 1);
    let x = l.transpose(&x, &[0, 2, 1, 3]);
    let weight = l.read_as(node.inputs[1], &[kernel[0], kernel[1], kernel[2], 1])?;
    let bias = l.plain(node.inputs[2])?;
    let y = conv(l, [&x, &weight, &bias], &[kernel[2], 1], &[1, 1], &[0; 4]);
    let y = l.transpose(&y, &[0, 2, 1, 3]);
    let flat = [batch, frames, Dim::fixed(kernel[0]), pixels];
    Ok(Value::Frames(l.merge_from(&y, &flat, &node.fact.shape)?))
}

fn over_both(
    l: &mut Lowering<'_>,
    node: &Node,
    kernel: &[usize],
    stride: usize,
    padding: Padding,
) -> Result<Value, ExportError> {
    let x = l.frame_major(node.inputs[0])?;
    let x = repeat_first(l, &x, kernel[2] - 1);
    let x = l.transpose(&x, &[0, 2, 1, 3, 4]);
    let [weight, bias] = [l.plain(node.inputs[1])?, l.plain(node.inputs[2])?];
    let pads = [0, padding.before, padding.before, 0, padding.after, padding.after];
    Ok(Value::Plain(conv(l, [&x, &weight, &bias], &kernel[2..], &[1, stride, stride], &pads)))
}

fn conv(l: &mut Lowering<'_>, inputs: [&Wire; 3], kernel: &[usize], strides: &[usize], pads: &[usize]) -> Wire {
    let ints = |sizes: &[usize]| Attribute::Ints(sizes.iter().map(|&size| size as i64).collect());
    let attributes = [("kernel_shape", ints(kernel)), ("pads", ints(pads)), ("strides", ints(strides))];
    l.out.node("Conv", &inputs, &attributes)
}
