//! The reference interpreter: what every operation means, in plain Rust.
//!
//! It is clear before it is fast. Tensors are kept in single precision; sums are taken in double precision and rounded
//! once, so that a difference from another backend is that backend's rounding. Values of a half type are kept in single
//! precision too, rounded to their type.

mod attention;
mod bindings;
mod conv;
mod elementwise;
mod erf;
mod error;
mod fsq;
mod haar;
mod linear;
mod lookup;
mod norm;
mod operands;
mod pixels;
mod shape;
#[cfg(test)]
mod trial;
mod walk;

use std::borrow::Cow;

pub use error::InterpretError;
use operands::Operands;

use crate::{Bindings, DType, Graph, Literal, LiteralData, Node, NodeId, Op, Parameters};

/// Runs `graph` on `inputs`, given by name in any order, and returns its outputs in the order of [`Graph::outputs`].
///
/// Named dimensions take their sizes from the inputs. Values are released after their last use. Fails on inputs that
/// are missing, unknown, repeated, of another type or shape, on sizes that disagree or break a [`crate::DimRule`], on
/// ids outside their table, and on parameters that cannot be had.
pub fn interpret(
    graph: &Graph,
    inputs: &[(&str, Literal)],
    parameters: &dyn Parameters,
) -> Result<Vec<(&'static str, Literal)>, InterpretError> {
    let bindings = bindings::bind(graph, inputs)?;
    let last_uses = last_uses(graph);
    let mut values: Vec<Option<Cow<'_, Literal>>> = Vec::with_capacity(graph.nodes().len());
    for (index, node) in graph.nodes().iter().enumerate() {
        let value = evaluate(graph, node, inputs, parameters, &bindings, &values)?;
        values.push(Some(value));
        for input in &node.inputs {
            if last_uses[input.index()] == Some(index) {
                values[input.index()] = None;
            }
        }
        if last_uses[index].is_none() {
            values[index] = None;
        }
    }
    Ok(outputs(graph, &values))
}

fn evaluate<'a>(
    graph: &'a Graph,
    node: &'a Node,
    inputs: &'a [(&str, Literal)],
    parameters: &dyn Parameters,
    bindings: &Bindings,
    values: &[Option<Cow<'a, Literal>>],
) -> Result<Cow<'a, Literal>, InterpretError> {
    let shape = bindings::sizes(graph, &node.fact.shape, bindings)?;
    if shape.contains(&0) {
        let nothing = Literal::new(shape, empty(node.fact.dtype));
        return Ok(Cow::Owned(nothing.expect("a shape with an axis of size 0 has no values")));
    }
    let read = |id: &NodeId| values[id.index()].as_deref().expect("values live until their last use");
    let operands =
        Operands { graph: graph.name(), node, inputs: node.inputs.iter().map(read).collect(), shape: &shape };
    let data = match &node.op {
        Op::Input { name } => {
            let fed = inputs.iter().find(|(given, _)| given == name);
            return Ok(Cow::Borrowed(fed.map(|(_, value)| value).expect("binding found every input")));
        }
        Op::Constant(value) => return Ok(Cow::Borrowed(value)),
        Op::Param { name } => parameter(name, &shape, parameters)?,
        Op::Add => elementwise::add(&operands),
        Op::Sub => elementwise::sub(&operands),
        Op::Mul => elementwise::mul(&operands),
        Op::Equal => elementwise::equal(&operands),
        Op::And => elementwise::and(&operands),
        Op::Where => elementwise::choose(&operands),
        Op::Silu => elementwise::silu(&operands),
        Op::Gelu => elementwise::gelu(&operands),
        Op::Tanh => elementwise::tanh(&operands),
        Op::Cast { .. } | Op::Reshape => operands.literal(0).data().clone(),
        Op::Transpose { perm } => shape::transpose(&operands, perm),
        Op::Slice { axis, start, .. } => shape::slice(&operands, *axis, *start),
        Op::Embedding => lookup::embedding(&operands)?,
        Op::Linear { bias } => linear::linear(&operands, *bias),
        Op::LayerNorm { epsilon, bias } => norm::layer_norm(&operands, *epsilon, *bias),
        Op::FrameNorm { epsilon } => norm::frame_norm(&operands, *epsilon),
        Op::Attention { heads, scale, causal, mask } => attention::attention(&operands, *heads, *scale, *causal, *mask),
        Op::CausalConv { stride, padding } => conv::causal_conv(&operands, *stride, *padding),
        Op::AveragePool => pixels::average_pool(&operands),
        Op::UpsampleNearest => pixels::upsample_nearest(&operands),
        Op::HaarPatch { patch } => haar::patch(&operands, *patch)?,
        Op::HaarUnpatch { patch } => haar::unpatch(&operands, *patch),
        Op::L2Normalize { epsilon } => norm::l2_normalize(&operands, *epsilon),
        Op::ArgMax => lookup::arg_max(&operands)?,
        Op::FsqQuantize { levels } => fsq::quantize(&operands, levels),
        Op::FsqDequantize { levels } => fsq::dequantize(&operands, levels)?,
    };
    let data = rounded(data, node.fact.dtype);
    Ok(Cow::Owned(Literal::new(shape, data).expect("an operation gives as many values as its shape has")))
}

fn parameter(name: &str, shape: &[usize], parameters: &dyn Parameters) -> Result<LiteralData, InterpretError> {
    let values = parameters.parameter(name, shape)?;
    if values.len() == shape.iter().product() {
        Ok(LiteralData::F32(values))
    } else {
        Err(InterpretError::Parameter { name: name.to_owned(), shape: shape.to_vec(), n_values: values.len() })
    }
}

/// Values of a half type are kept in single precision.
fn rounded(data: LiteralData, dtype: DType) -> LiteralData {
    match data {
        LiteralData::F32(mut values) if dtype.is_half() => {
            for value in &mut values {
                *value = dtype.round(*value);
            }
            LiteralData::F32(values)
        }
        other @ (LiteralData::F32(_) | LiteralData::I64(_) | LiteralData::Bool(_)) => other,
    }
}

fn empty(dtype: DType) -> LiteralData {
    match dtype {
        DType::F32 | DType::F16 | DType::Bf16 => LiteralData::F32(Vec::new()),
        DType::I64 => LiteralData::I64(Vec::new()),
        DType::Bool => LiteralData::Bool(Vec::new()),
    }
}

fn outputs(graph: &Graph, values: &[Option<Cow<'_, Literal>>]) -> Vec<(&'static str, Literal)> {
    let value = |id: NodeId| values[id.index()].as_deref().expect("outputs are kept to the end");
    graph.outputs().iter().map(|&(name, id)| (name, value(id).clone())).collect()
}

/// Per node, the last node that reads it; the number of nodes for outputs, `None` where nothing reads it.
fn last_uses(graph: &Graph) -> Vec<Option<usize>> {
    let mut last = vec![None; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        for input in &node.inputs {
            last[input.index()] = Some(index);
        }
    }
    for (_, id) in graph.outputs() {
        last[id.index()] = Some(graph.nodes().len());
    }
    last
}
