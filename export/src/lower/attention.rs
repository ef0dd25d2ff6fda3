use egom2p_graph::{AttentionMask, DType, Dim, LiteralData, Node};

use super::{
    context::{Attribute, Element, Wire},
    lowering::{Lowering, Value},
};
use crate::{ExportError, Target};

/// The score of a key that is not permitted: its weight is exactly zero beside any permitted key, and no sum overflows.
const NOT_PERMITTED: f32 = -1e30;

/// The attributes of [`egom2p_graph::Op::Attention`].
pub(super) struct Attention {
    pub(super) heads: usize,
    pub(super) scale: f32,
    pub(super) causal: bool,
    pub(super) mask: AttentionMask,
}

/// [`egom2p_graph::Op::Attention`].
pub(super) fn attention(l: &mut Lowering<'_>, node: &Node, op: &Attention) -> Result<Value, ExportError> {
    let qkv = [l.plain(node.inputs[0])?, l.plain(node.inputs[1])?, l.plain(node.inputs[2])?];
    let wire = match l.out.target() {
        Target::OnnxRuntimeCpu => fused(l, node, op, &qkv)?,
        Target::Standard { .. } => primitive(l, node, op, &qkv)?,
    };
    Ok(Value::Plain(wire))
}

/// ONNX Runtime's `MultiHeadAttention`. Without a mask it never holds the scores of all pairs; a mask of keys is cheaper
/// than one of pairs. It gives zeros for no keys, and means of all values for keys of which none is permitted.
fn fused(l: &mut Lowering<'_>, node: &Node, op: &Attention, [q, k, v]: &[Wire; 3]) -> Result<Wire, ExportError> {
    let mut attributes = vec![("num_heads", Attribute::Int(op.heads as i64)), ("scale", Attribute::Float(op.scale))];
    let absent = Wire::absent();
    match (op.mask, op.causal) {
        (AttentionMask::None, causal) => {
            if causal {
                attributes.push(("unidirectional", Attribute::Int(1)));
            }
            Ok(l.out.contrib("MultiHeadAttention", &[q, k, v], &attributes))
        }
        (AttentionMask::Keys, false) => {
            let keys = l.plain(node.inputs[3])?;
            let mask = l.out.cast(&keys, Element::Int32);
            attributes.push(("mask_filter_value", Attribute::Float(NOT_PERMITTED)));
            let y = l.out.contrib("MultiHeadAttention", &[q, k, v, &absent, &mask], &attributes);
            let any = any(l, node, &keys)?;
            let last = l.out.integers(&[2]);
            let any = l.out.node("Unsqueeze", &[&any, &last], &[]);
            Ok(or_zero(l, node, &any, &y))
        }
        (AttentionMask::Keys | AttentionMask::Pairs, _) => {
            let permitted = permitted(l, node, op)?.expect("there is a mask");
            let [zero, low] = [l.out.float(0.0), l.out.float(NOT_PERMITTED)];
            let bias = l.out.node("Where", &[&permitted, &zero, &low], &[]);
            let y = l.out.contrib("MultiHeadAttention", &[q, k, v, &absent, &absent, &bias], &attributes);
            let any = any(l, node, &permitted)?;
            let heads = l.out.integers(&[1]);
            let any = l.out.node("Squeeze", &[&any, &heads], &[]);
            Ok(or_zero(l, node, &any, &y))
        }
    }
}

/// Attention spelt out.
fn primitive(l: &mut Lowering<'_>, node: &Node, op: &Attention, qkv: &[Wire; 3]) -> Result<Wire, ExportError> {
    let graph = l.graph;
    let mut parts = Vec::with_capacity(3);
    for ((wire, id), perm) in qkv.iter().zip(&node.inputs).zip([[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]]) {
        let from = &graph.node(*id).fact.shape;
        let features = from[2].as_fixed().unwrap_or_default();
        let to = [from[0].clone(), from[1].clone(), Dim::fixed(op.heads), Dim::fixed(features / op.heads)];
        let split = l.reshape(wire, from, &to)?;
        parts.push(l.transpose(&split, &perm));
    }
    let [q, k, v] = [&parts[0], &parts[1], &parts[2]];
    let mut scores = scores(l, node.fact.dtype, op.scale, q, k);
    let permitted = permitted(l, node, op)?;
    if let Some(permitted) = &permitted {
        let low = l.out.float(NOT_PERMITTED);
        scores = l.out.node("Where", &[permitted, &scores, &low], &[]);
    }
    let mut weights = l.out.node("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
    if node.fact.dtype.is_half() {
        weights = l.out.cast(&weights, Element::Of(node.fact.dtype));
    }
    let mut y = l.out.node("MatMul", &[&weights, v], &[]);
    if let Some(permitted) = permitted.filter(|_| op.mask != AttentionMask::None) {
        let any = any(l, node, &permitted)?;
        y = or_zero(l, node, &any, &y);
    }
    let y = l.transpose(&y, &[0, 2, 1, 3]);
    let [batch, queries, features] = [0, 1, 2].map(|axis: usize| node.fact.shape[axis].clone());
    let head = Dim::fixed(features.as_fixed().unwrap_or_default() / op.heads);
    let from = [batch, queries, Dim::fixed(op.heads), head];
    l.reshape(&y, &from, &node.fact.shape)
}

/// `f32 [batch, heads, queries, keys]`: products of queries and keys, scaled.
///
/// Of halves, the queries take as much of the scale as they can without rounding, so that products beyond the range of the
/// type by that factor still fit; the rest follows in single precision, in which the softmax is computed.
fn scores(l: &mut Lowering<'_>, dtype: DType, scale: f32, q: &Wire, k: &Wire) -> Wire {
    let scaled = |l: &mut Lowering<'_>, x: &Wire, dtype, factor| {
        let factor = l.out.floats(dtype, &[], vec![factor]);
        l.out.node("Mul", &[x, &factor], &[])
    };
    if !dtype.is_half() {
        let products = l.out.node("MatMul", &[q, k], &[]);
        return scaled(l, &products, dtype, scale);
    }
    let before = power_of_two(scale);
    let q = if before < 1.0 { scaled(l, q, dtype, before) } else { q.clone() };
    let products = l.out.node("MatMul", &[&q, k], &[]);
    let products = l.out.cast(&products, Element::Of(DType::F32));
    let is_done = before.to_bits() == scale.to_bits();
    if is_done { products } else { scaled(l, &products, DType::F32, scale / before) }
}

/// The least power of two from 1/16 to 1 that is no smaller than the magnitude of `scale`; 1 where none is.
fn power_of_two(scale: f32) -> f32 {
    let powers = [1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0];
    powers.into_iter().find(|power| *power >= scale.abs()).unwrap_or(1.0)
}

/// `bool`, broadcast to `[batch, heads, queries, keys]`: whether a query may use a key; `None` where all may use all.
fn permitted(l: &mut Lowering<'_>, node: &Node, op: &Attention) -> Result<Option<Wire>, ExportError> {
    let missing_axes: &[i64] = match op.mask {
        AttentionMask::None => &[],
        AttentionMask::Keys => &[1, 2],
        AttentionMask::Pairs => &[1],
    };
    let mut permitted = None;
    if !missing_axes.is_empty() {
        let mask = l.plain(node.inputs[3])?;
        let axes = l.out.integers(missing_axes);
        permitted = Some(l.out.node("Unsqueeze", &[&mask, &axes], &[]));
    }
    if op.causal {
        let graph = l.graph;
        let past = past(l, &graph.node(node.inputs[1]).fact.shape[1])?;
        permitted = Some(match permitted {
            Some(permitted) => l.out.node("And", &[&permitted, &past], &[]),
            None => past,
        });
    }
    Ok(permitted)
}

/// `bool [n, n]`: whether the column is not after the row.
fn past(l: &mut Lowering<'_>, n: &Dim) -> Result<Wire, ExportError> {
    const LARGEST_CONSTANT: usize = 16;
    if let Some(n) = n.as_fixed().filter(|n| *n <= LARGEST_CONSTANT) {
        let past = (0..n).flat_map(|row| (0..n).map(move |column| column <= row)).collect();
        return Ok(l.out.embed(&[n, n], &LiteralData::Bool(past)));
    }
    let n = l.size(n)?;
    let first_axis = l.out.integers(&[0]);
    let n = l.out.node("Squeeze", &[&n, &first_axis], &[]);
    let [zero, one, last_axis] = [l.out.integer(0), l.out.integer(1), l.out.integers(&[1])];
    let columns = l.out.node("Range", &[&zero, &n, &one], &[]);
    let rows = l.out.node("Unsqueeze", &[&columns, &last_axis], &[]);
    Ok(l.out.node("LessOrEqual", &[&columns, &rows], &[]))
}

/// Whether any of the last axis, the keys of attention `node`, is permitted; that axis stays, with size 1.
///
/// Counted by a product with ones: ONNX Runtime reduces a tensor without elements to a wrong shape. Halves count as well:
/// sums of ones are never rounded to zero, and infinitely many are some.
fn any(l: &mut Lowering<'_>, node: &Node, mask: &Wire) -> Result<Wire, ExportError> {
    let (graph, dtype) = (l.graph, node.fact.dtype);
    let keys = graph.node(node.inputs[1]).fact.shape[1].clone();
    let (one, shape) = (l.out.floats(dtype, &[], vec![1.0]), l.shape(&[keys, Dim::fixed(1)])?);
    let ones = l.out.node("Expand", &[&one, &shape], &[]);
    let mask = l.out.cast(mask, Element::Of(dtype));
    let counts = l.out.node("MatMul", &[&mask, &ones], &[]);
    Ok(l.out.cast(&counts, Element::Of(DType::Bool)))
}

/// The result `y` of attention `node`, and zero where no key is permitted.
fn or_zero(l: &mut Lowering<'_>, node: &Node, any: &Wire, y: &Wire) -> Wire {
    let zero = l.out.floats(node.fact.dtype, &[], vec![0.0]);
    l.out.node("Where", &[any, y, &zero], &[])
}
