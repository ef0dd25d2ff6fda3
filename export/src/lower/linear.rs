//! Products with weights, and look-ups in tables.

use egom2p_graph::Node;

use super::{
    context::Attribute,
    lowering::{Lowering, Value},
};
use crate::{ExportError, Target};

/// [`egom2p_graph::Op::Linear`]. The weight keeps its published order `[out, in]`, so that all models share its bytes.
pub(super) fn linear(l: &mut Lowering<'_>, node: &Node, bias: bool) -> Result<Value, ExportError> {
    let [x, weight] = [l.plain(node.inputs[0])?, l.plain(node.inputs[1])?];
    let product = match l.out.target() {
        Target::OnnxRuntimeCpu => l.out.contrib("FusedMatMul", &[&x, &weight], &[("transB", Attribute::Int(1))]),
        Target::Standard { .. } => {
            let weight = l.transpose(&weight, &[1, 0]);
            l.out.node("MatMul", &[&x, &weight], &[])
        }
    };
    if !bias {
        return Ok(Value::Plain(product));
    }
    let bias = l.plain(node.inputs[2])?;
    Ok(Value::Plain(l.out.node("Add", &[&product, &bias], &[])))
}

/// [`egom2p_graph::Op::Embedding`].
pub(super) fn embedding(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    let [table, ids] = [l.plain(node.inputs[0])?, l.plain(node.inputs[1])?];
    Ok(Value::Plain(l.out.node("Gather", &[&table, &ids], &[("axis", Attribute::Int(0))])))
}
