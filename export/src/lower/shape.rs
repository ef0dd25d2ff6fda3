//! Operations that move or cut values.

use egom2p_graph::{Dim, Node};

use super::{
    context::View,
    lowering::{Lowering, Value},
};
use crate::ExportError;

/// [`egom2p_graph::Op::Reshape`]; of a parameter, the same bytes in another shape.
pub(super) fn reshape(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    let id = node.inputs[0];
    let fixed: Option<Vec<usize>> = node.fact.shape.iter().map(Dim::as_fixed).collect();
    if let (Value::Param(view), Some(shape)) = (l.value(id), fixed) {
        return Ok(Value::Param(View { shape, ..view }));
    }
    let x = l.plain(id)?;
    let graph = l.graph;
    Ok(Value::Plain(l.reshape(&x, &graph.node(id).fact.shape, &node.fact.shape)?))
}

/// [`egom2p_graph::Op::Transpose`].
pub(super) fn transpose(l: &mut Lowering<'_>, node: &Node, perm: &[usize]) -> Result<Value, ExportError> {
    let id = node.inputs[0];
    let Value::Frames(frames) = l.value(id) else {
        let x = l.plain(id)?;
        return Ok(Value::Plain(l.transpose(&x, perm)));
    };
    // Images split into [batch, frames, channels, height, width] are one transposition away from any order.
    let shape = &l.graph.node(id).fact.shape;
    let split = l.split(&frames, shape)?;
    let perm: Vec<usize> = perm.iter().map(|&axis| [0, 2, 1, 3, 4][axis]).collect();
    Ok(Value::Plain(if perm == [0, 1, 2, 3, 4] { split } else { l.transpose(&split, &perm) }))
}

/// [`egom2p_graph::Op::Slice`]; of a parameter along its first axis, a part of its bytes.
pub(super) fn slice(
    l: &mut Lowering<'_>,
    node: &Node,
    axis: usize,
    start: usize,
    len: usize,
) -> Result<Value, ExportError> {
    let id = node.inputs[0];
    match l.value(id) {
        Value::Param(View { stored, start: first, mut shape }) if axis == 0 => {
            let row: usize = shape[1..].iter().product();
            shape[0] = len;
            Ok(Value::Param(View { stored, start: first + start * row, shape }))
        }
        _ => {
            let x = l.plain(id)?;
            let [starts, ends, axes] = [start, start + len, axis].map(|index| l.out.integers(&[index as i64]));
            Ok(Value::Plain(l.out.node("Slice", &[&x, &starts, &ends, &axes], &[])))
        }
    }
}
