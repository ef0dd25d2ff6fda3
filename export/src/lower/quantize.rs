//! From numbers to indices and back.

use egom2p_graph::{DType, Dim, LiteralData, Node};

use super::{
    context::{Attribute, Element, Wire},
    lowering::{Lowering, Value},
};
use crate::ExportError;

/// [`egom2p_graph::Op::ArgMax`].
pub(super) fn arg_max(l: &mut Lowering<'_>, node: &Node) -> Result<Value, ExportError> {
    let x = l.plain(node.inputs[0])?;
    let attributes =
        [("axis", Attribute::Int(-1)), ("keepdims", Attribute::Int(0)), ("select_last_index", Attribute::Int(0))];
    Ok(Value::Plain(l.out.node("ArgMax", &[&x], &attributes)))
}

/// [`egom2p_graph::Op::FsqQuantize`], on images: the channels of `[batch * frames, levels, height, width]` become digits.
/// Every index is below 2^24 and therefore exact as a float.
pub(super) fn fsq_quantize(l: &mut Lowering<'_>, node: &Node, levels: &[usize]) -> Result<Value, ExportError> {
    let x = l.frames(node.inputs[0])?;
    let line = Line::of(levels);
    let per_channel = [levels.len(), 1, 1];
    let [shift, half, offset, middle, basis] = [line.shift, line.half, line.offset, line.middle, line.basis]
        .map(|values| l.out.embed(&per_channel, &LiteralData::F32(values)));
    let shifted = l.out.node("Add", &[&x, &shift], &[]);
    let bounded = l.out.node("Tanh", &[&shifted], &[]);
    let scaled = l.out.node("Mul", &[&bounded, &half], &[]);
    let centred = l.out.node("Sub", &[&scaled, &offset], &[]);
    let rounded = l.out.node("Round", &[&centred], &[]);
    let digits = l.out.node("Add", &[&rounded, &middle], &[]);
    let terms = l.out.node("Mul", &[&digits, &basis], &[]);
    let channel_axis = l.out.integers(&[1]);
    let sums = l.out.node("ReduceSum", &[&terms, &channel_axis], &[("keepdims", Attribute::Int(0))]);
    let indices = l.out.cast(&sums, Element::Of(DType::I64));
    let shape = &node.fact.shape;
    let from = [Dim::product(&shape[..2]), shape[2].clone(), shape[3].clone()];
    Ok(Value::Plain(l.reshape(&indices, &from, shape)?))
}

/// [`egom2p_graph::Op::FsqDequantize`], to images.
pub(super) fn fsq_dequantize(l: &mut Lowering<'_>, node: &Node, levels: &[usize]) -> Result<Value, ExportError> {
    let tokens = l.plain(node.inputs[0])?;
    let graph = l.graph;
    let shape = &graph.node(node.inputs[0]).fact.shape;
    let images = [Dim::product(&shape[..2]), Dim::fixed(1), shape[2].clone(), shape[3].clone()];
    let tokens: Wire = l.reshape(&tokens, shape, &images)?;
    let line = Line::of(levels);
    let per_channel = [levels.len(), 1, 1];
    let whole = |values: &[f32]| LiteralData::I64(values.iter().map(|&value| value as i64).collect());
    let basis = l.out.embed(&per_channel, &whole(&line.basis));
    let counts = l.out.embed(&per_channel, &LiteralData::I64(levels.iter().map(|&count| count as i64).collect()));
    let middle = l.out.embed(&per_channel, &LiteralData::F32(line.middle));
    let shifted = l.out.node("Div", &[&tokens, &basis], &[]);
    let digits = l.out.node("Mod", &[&shifted, &counts], &[]);
    let digits = l.out.cast(&digits, Element::Of(DType::F32));
    let centred = l.out.node("Sub", &[&digits, &middle], &[]);
    Ok(Value::Frames(l.out.node("Div", &[&centred, &middle], &[])))
}

/// The number line of every channel (specification section 3.3), in single precision as published.
struct Line {
    /// Half the width that `tanh` is stretched to.
    half: Vec<f32>,
    /// What moves an even number of levels between the integers.
    offset: Vec<f32>,
    /// What makes zero stay zero.
    shift: Vec<f32>,
    /// The level of code zero.
    middle: Vec<f32>,
    /// What a digit counts in an index.
    basis: Vec<f32>,
}

impl Line {
    fn of(levels: &[usize]) -> Self {
        let half: Vec<f32> = levels.iter().map(|&count| (count - 1) as f32 * 1.001 / 2.0).collect();
        let offset: Vec<f32> = levels.iter().map(|count| if count.is_multiple_of(2) { 0.5 } else { 0.0 }).collect();
        let shift = half.iter().zip(&offset).map(|(half, offset)| f64::from(offset / half).atanh() as f32).collect();
        let middle = levels.iter().map(|&count| (count / 2) as f32).collect();
        let basis = levels.iter().scan(1, |product, &count| {
            let digit = *product;
            *product *= count;
            Some(digit as f32)
        });
        let basis = basis.collect();
        Self { half, offset, shift, middle, basis }
    }
}
