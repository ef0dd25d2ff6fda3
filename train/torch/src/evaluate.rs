//! One operation at a time.

mod attention;
mod fsq;
mod haar;
mod pixels;

use crate::inputs::kind;
use egom2p_graph::{Literal, LiteralData, Node, Op};
use tch::{Device, TchError, Tensor};

/// What an operation reads, and the shape that it gives.
pub(crate) struct Operands<'a> {
    pub(crate) inputs: Vec<&'a Tensor>,
    pub(crate) shape: &'a [i64],
    pub(crate) device: Device,
}

/// The value of a node that is neither an input nor a parameter.
pub(crate) fn evaluate(node: &Node, operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let value = compute(node, operands)?;
    if value.size() == operands.shape {
        Ok(value)
    } else {
        Err(TchError::Shape(format!("a value of shape {:?}, expected {:?}", value.size(), operands.shape)))
    }
}

fn compute(node: &Node, operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let input = |index: usize| operands.inputs[index];
    let bias = |index: usize, has: bool| has.then(|| input(index));
    match &node.op {
        Op::Input { .. } | Op::Param { .. } => Err(TchError::Kind("a tensor that is not computed".to_owned())),
        Op::Constant(literal) => constant(literal, operands),
        Op::Add => input(0).f_add(input(1)),
        Op::Sub => input(0).f_sub(input(1)),
        Op::Mul => input(0).f_mul(input(1)),
        Op::Equal => input(0).f_eq_tensor(input(1)),
        Op::And => input(0).f_logical_and(input(1)),
        Op::Where => input(1).f_where_self(input(0), input(2)),
        Op::Silu => input(0).f_silu(),
        Op::Gelu => input(0).f_gelu("none"),
        Op::Tanh => input(0).f_tanh(),
        Op::Cast { to } => input(0).f_to_kind(kind(*to)),
        Op::Reshape => input(0).f_reshape(operands.shape),
        Op::Transpose { perm } => input(0).f_permute(perm.iter().map(|&axis| axis as i64).collect::<Vec<_>>()),
        Op::Slice { axis, start, len } => input(0).f_narrow(*axis as i64, *start as i64, *len as i64),
        Op::Embedding => Tensor::f_embedding(input(0), input(1), -1, false, false),
        Op::Linear { bias: has } => input(0).f_linear(input(1), bias(2, *has)),
        Op::LayerNorm { epsilon, bias: has } => {
            let dim = input(1).size();
            input(0).f_layer_norm(dim, Some(input(1)), bias(2, *has), f64::from(*epsilon), false)
        }
        Op::FrameNorm { epsilon } => pixels::frame_norm(operands, *epsilon),
        Op::Attention { heads, scale, causal, mask } => attention::attention(operands, *heads, *scale, *causal, *mask),
        Op::CausalConv { stride, padding } => pixels::causal_conv(operands, *stride, *padding),
        Op::AveragePool => pixels::average_pool(operands),
        Op::UpsampleNearest => pixels::upsample_nearest(operands),
        Op::HaarPatch { patch } => haar::patch(operands, *patch),
        Op::HaarUnpatch { patch } => haar::unpatch(operands, *patch),
        Op::L2Normalize { epsilon } => {
            let norm = input(0).f_norm_scalaropt_dim(2.0, [-1_i64], true)?;
            input(0).f_div(&norm.f_clamp_min(f64::from(*epsilon))?)
        }
        Op::ArgMax => input(0).f_argmax(-1, false),
        Op::FsqQuantize { levels } => fsq::quantize(operands, levels),
        Op::FsqDequantize { levels } => fsq::dequantize(operands, levels),
    }
}

fn constant(literal: &Literal, operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let flat = match literal.data() {
        LiteralData::F32(values) => Tensor::f_from_slice(values),
        LiteralData::I64(values) => Tensor::f_from_slice(values),
        LiteralData::Bool(values) => Tensor::f_from_slice(values),
    };
    flat?.f_reshape(operands.shape)?.f_to_device(operands.device)
}
