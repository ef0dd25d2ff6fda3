//! Elementwise operations and activations.

use egom2p_graph::{DType, Node, NodeId};

use super::{
    cast::in_single,
    context::{Attribute, Wire},
    lowering::{Lowering, Value},
};
use crate::{ExportError, Opset, Target};

/// An operation that ONNX has under the name `op`, with the same broadcasting.
pub(super) fn elementwise(l: &mut Lowering<'_>, node: &Node, op: &str) -> Result<Value, ExportError> {
    apply(l, node, |l, inputs| l.out.node(op, inputs, &[]))
}

/// [`egom2p_graph::Op::Where`]. ONNX Runtime selects no truth values, so these are `(c and a) or (not c and b)`.
pub(super) fn choose(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    if node.fact.dtype != DType::Bool {
        return elementwise(l, node, "Where");
    }
    let [condition, a, b] = [l.plain(node.inputs[0])?, l.plain(node.inputs[1])?, l.plain(node.inputs[2])?];
    let otherwise = l.out.node("Not", &[&condition], &[]);
    let a = l.out.node("And", &[&condition, &a], &[]);
    let b = l.out.node("And", &[&otherwise, &b], &[]);
    Ok(Value::Plain(l.out.node("Or", &[&a, &b], &[])))
}

/// [`egom2p_graph::Op::Silu`]: ONNX Runtime has it in one pass as `QuickGelu` with factor 1.
pub(super) fn silu(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    apply(l, node, |l, inputs| match l.out.target() {
        Target::OnnxRuntimeCpu => l.out.contrib("QuickGelu", inputs, &[("alpha", Attribute::Float(1.0))]),
        Target::Standard { .. } => in_single(l, node.fact.dtype, inputs[0], |l, x| {
            let gate = l.out.node("Sigmoid", &[x], &[]);
            l.out.node("Mul", &[x, &gate], &[])
        }),
    })
}

/// [`egom2p_graph::Op::Gelu`], exact.
pub(super) fn gelu(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    apply(l, node, |l, inputs| {
        in_single(l, node.fact.dtype, inputs[0], |l, x| match l.out.target().opset() {
            Opset::V20 | Opset::V22 => l.out.node("Gelu", &[x], &[("approximate", Attribute::Text("none"))]),
            Opset::V19 => {
                let [root, one, half] = [l.out.float(std::f32::consts::SQRT_2), l.out.float(1.0), l.out.float(0.5)];
                let scaled = l.out.node("Div", &[x, &root], &[]);
                let erf = l.out.node("Erf", &[&scaled], &[]);
                let twice = l.out.node("Add", &[&erf, &one], &[]);
                let probability = l.out.node("Mul", &[&twice, &half], &[]);
                l.out.node("Mul", &[x, &probability], &[])
            }
        })
    })
}

/// Emits on images where an input is held as such and the others can be, else on plain values.
fn apply(
    l: &mut Lowering<'_>,
    node: &Node,
    emit: impl FnOnce(&mut Lowering<'_>, &[&Wire]) -> Wire,
) -> Result<Value, ExportError> {
    let is_held = node.inputs.iter().any(|&id| matches!(l.value(id), Value::Frames(_)));
    let as_frames =
        is_held && node.inputs.iter().all(|&id| is_scalar(l, id) || l.graph.node(id).fact.shape == node.fact.shape);
    let mut wires = Vec::with_capacity(node.inputs.len());
    for &id in &node.inputs {
        wires.push(if as_frames && !is_scalar(l, id) { l.frames(id)? } else { l.plain(id)? });
    }
    let wire = emit(l, &wires.iter().collect::<Vec<_>>());
    Ok(if as_frames { Value::Frames(wire) } else { Value::Plain(wire) })
}

fn is_scalar(l: &Lowering<'_>, id: NodeId) -> bool {
    l.graph.node(id).fact.shape.is_empty()
}
