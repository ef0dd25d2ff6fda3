//! Normalisation.

use egom2p_graph::Node;

use super::{
    context::Attribute,
    lowering::{Lowering, Value},
};
use crate::{ExportError, Target};

/// [`egom2p_graph::Op::LayerNorm`].
pub(super) fn layer_norm(l: &mut Lowering<'_>, node: &Node, epsilon: f32) -> Result<Value, ExportError> {
    let mut wires = Vec::with_capacity(node.inputs.len());
    for &id in &node.inputs {
        wires.push(l.plain(id)?);
    }
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
    Ok(Value::Plain(l.out.node("LayerNormalization", &wires.iter().collect::<Vec<_>>(), &attributes)))
}

/// [`egom2p_graph::Op::FrameNorm`]: of images, a norm over all axes but the first.
///
/// ONNX Runtime's `LayerNormalization` broadcasts scale and shift over the pixels and sums in double precision; one pass
/// over millions of values in single precision, as its `InstanceNormalization` and `GroupNormalization` take it, is off by
/// 4e-4. Elsewhere the mean is taken per channel first, then over channels, which single precision carries.
pub(super) fn frame_norm(l: &mut Lowering<'_>, node: &Node, epsilon: f32) -> Result<Value, ExportError> {
    let x = l.frames(node.inputs[0])?;
    let channels = l.graph.node(node.inputs[1]).fact.shape[0].as_fixed().unwrap_or_default();
    let scale = l.read_as(node.inputs[1], &[channels, 1, 1])?;
    let shift = l.read_as(node.inputs[2], &[channels, 1, 1])?;
    let normalised = match l.out.target() {
        Target::OnnxRuntimeCpu => {
            let attributes = [("axis", Attribute::Int(1)), ("epsilon", Attribute::Float(epsilon))];
            l.out.node("LayerNormalization", &[&x, &scale, &shift], &attributes)
        }
        Target::Standard { .. } => {
            let [channel_axis, pixel_axes] = [l.out.integers(&[1]), l.out.integers(&[2, 3])];
            let channel_means = l.out.node("ReduceMean", &[&x, &pixel_axes], &[]);
            let mean = l.out.node("ReduceMean", &[&channel_means, &channel_axis], &[]);
            let centred = l.out.node("Sub", &[&x, &mean], &[]);
            let squares = l.out.node("Mul", &[&centred, &centred], &[]);
            let channel_variances = l.out.node("ReduceMean", &[&squares, &pixel_axes], &[]);
            let variance = l.out.node("ReduceMean", &[&channel_variances, &channel_axis], &[]);
            let epsilon = l.out.float(epsilon);
            let padded = l.out.node("Add", &[&variance, &epsilon], &[]);
            let deviation = l.out.node("Sqrt", &[&padded], &[]);
            let factor = l.out.node("Div", &[&scale, &deviation], &[]);
            let scaled = l.out.node("Mul", &[&centred, &factor], &[]);
            l.out.node("Add", &[&scaled, &shift], &[])
        }
    };
    Ok(Value::Frames(normalised))
}

/// [`egom2p_graph::Op::L2Normalize`].
pub(super) fn l2_normalize(l: &mut Lowering<'_>, node: &Node, epsilon: f32) -> Result<Value, ExportError> {
    let x = l.plain(node.inputs[0])?;
    let [axes, epsilon] = [l.out.integers(&[-1]), l.out.float(epsilon)];
    let norm = l.out.node("ReduceL2", &[&x, &axes], &[]);
    let divisor = l.out.node("Max", &[&norm, &epsilon], &[]);
    Ok(Value::Plain(l.out.node("Div", &[&x, &divisor], &[])))
}
