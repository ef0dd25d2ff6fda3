//! Stage graphs to ONNX, operation by operation.

mod arithmetic;
mod attention;
mod cast;
mod context;
mod convolution;
mod haar;
mod linear;
mod lowering;
mod norm;
mod quantize;
mod shape;
mod winograd;

use egom2p_graph::{DType, Graph, NodeId, Op};

use crate::{ExportError, ExternalLayout, Opset, Target, encoding, reads::Stored};
use context::View;
use lowering::{Lowering, Value};

/// Lowers `graph` to the bytes of an ONNX model whose parameters and large constants are read from the weights file that
/// `layout` describes.
///
/// The same arguments give the same bytes. Nodes are named `SCOPE/OPERATION/OPERATOR`, initialisers after their
/// parameters, inputs, outputs and dimensions as in the graph. Nodes that no output needs are left out; inputs never are.
///
/// Fails when `layout` lacks a parameter or has it in another shape, when one name is used twice, and when the target cannot
/// hold the graph's half values.
pub fn export_graph(graph: &Graph, target: Target, layout: &ExternalLayout) -> Result<Vec<u8>, ExportError> {
    check_precision(graph, target)?;
    let mut lowering = Lowering::new(graph, target, layout)?;
    for id in needed(graph) {
        let node = graph.node(id);
        let op = node.op.name();
        lowering.out.enter(if node.scope.is_empty() { op.to_owned() } else { format!("{}/{op}", node.scope) });
        let value = lower(&mut lowering, id)?;
        lowering.set(id, value);
    }
    for (name, id) in graph.outputs() {
        lowering.out.enter(format!("output/{name}"));
        let wire = lowering.plain(*id)?;
        lowering.out.output(name, &wire, &graph.node(*id).fact);
    }
    Ok(lowering.out.finish())
}

fn lower(l: &mut Lowering<'_>, id: NodeId) -> Result<Value, ExportError> {
    let node = l.graph.node(id);
    match &node.op {
        Op::Input { .. } => Ok(l.value(id)),
        Op::Param { name } => {
            let shape = node.fact.shape.iter().filter_map(egom2p_graph::Dim::as_fixed).collect();
            Ok(Value::Param(View { stored: Stored::parameter(name, DType::F32), start: 0, shape }))
        }
        Op::Constant(literal) => Ok(Value::Plain(l.out.literal(literal)?)),

        Op::Add => arithmetic::elementwise(l, node, "Add"),
        Op::Sub => arithmetic::elementwise(l, node, "Sub"),
        Op::Mul => arithmetic::elementwise(l, node, "Mul"),
        Op::Equal => arithmetic::elementwise(l, node, "Equal"),
        Op::And => arithmetic::elementwise(l, node, "And"),
        Op::Where => arithmetic::choose(l, node),
        Op::Silu => arithmetic::silu(l, node),
        Op::Gelu => arithmetic::gelu(l, node),
        Op::Tanh => arithmetic::elementwise(l, node, "Tanh"),
        Op::Cast { to } => cast::cast(l, node, *to),

        Op::Reshape => shape::reshape(l, node),
        Op::Transpose { perm } => shape::transpose(l, node, perm),
        Op::Slice { axis, start, len } => shape::slice(l, node, *axis, *start, *len),

        Op::Embedding => linear::embedding(l, node),
        Op::Linear { bias } => linear::linear(l, node, *bias),
        Op::LayerNorm { epsilon, .. } => norm::layer_norm(l, node, *epsilon),
        Op::FrameNorm { epsilon } => norm::frame_norm(l, node, *epsilon),
        Op::L2Normalize { epsilon } => norm::l2_normalize(l, node, *epsilon),
        Op::Attention { heads, scale, causal, mask } => attention::attention(
            l,
            node,
            &attention::Attention { heads: *heads, scale: *scale, causal: *causal, mask: *mask },
        ),

        Op::CausalConv { stride, padding } => convolution::causal_conv(l, node, *stride, *padding),
        Op::AveragePool => convolution::average_pool(l, node),
        Op::UpsampleNearest => convolution::upsample_nearest(l, node),
        Op::HaarPatch { patch } => haar::patch(l, node, *patch),
        Op::HaarUnpatch { patch } => haar::unpatch(l, node, *patch),

        Op::ArgMax => quantize::arg_max(l, node),
        Op::FsqQuantize { levels } => quantize::fsq_quantize(l, node, levels),
        Op::FsqDequantize { levels } => quantize::fsq_dequantize(l, node, levels),
    }
}

/// Whether `target` has operators for the types of all values: ONNX Runtime's own ones take single precision only, and the
/// standard convolves and pools `bf16` from operator set 22 on.
fn check_precision(graph: &Graph, target: Target) -> Result<(), ExportError> {
    let mut halves = graph.nodes().iter().filter(|node| node.fact.dtype.is_half());
    match target {
        Target::OnnxRuntimeCpu => halves.next().map_or(Ok(()), |node| {
            let precision = encoding::precision_name(node.fact.dtype);
            Err(ExportError::SingleOnly { graph: graph.name().to_owned(), precision })
        }),
        Target::Standard { opset } if opset < Opset::V22 => {
            let is_late = |op: &Op| {
                matches!(op, Op::CausalConv { .. } | Op::AveragePool | Op::HaarPatch { .. } | Op::HaarUnpatch { .. })
            };
            let late = halves.find(|node| node.fact.dtype == DType::Bf16 && is_late(&node.op));
            late.map_or(Ok(()), |node| {
                let (graph, op) = (graph.name().to_owned(), node.op.name());
                Err(ExportError::OperatorSet { graph, op, opset: opset.version() })
            })
        }
        Target::Standard { .. } => Ok(()),
    }
}

/// The nodes that an output needs, in execution order.
fn needed(graph: &Graph) -> Vec<NodeId> {
    let mut is_needed = vec![false; graph.nodes().len()];
    for (_, id) in graph.outputs() {
        is_needed[id.index()] = true;
    }
    let ids: Vec<NodeId> = graph.ids().collect();
    for &id in ids.iter().rev() {
        let node = graph.node(id);
        if is_needed[id.index()] {
            for input in &node.inputs {
                is_needed[input.index()] = true;
            }
        }
    }
    ids.into_iter().filter(|id| is_needed[id.index()]).collect()
}
