use std::collections::{BTreeMap, BTreeSet};

use egom2p_graph::{DType, Graph, Literal, Node, Op};

use crate::{constants, encoding};

/// A tensor of a weights file: a parameter in one float type, or a large constant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Stored {
    /// The parameter's published name, or the constant's digest.
    pub(crate) source: String,
    /// The type it is stored in.
    pub(crate) dtype: DType,
}

impl Stored {
    /// A parameter in a float type.
    pub(crate) fn parameter(name: &str, dtype: DType) -> Self {
        Self { source: name.to_owned(), dtype }
    }

    /// A constant of a graph.
    pub(crate) fn constant(literal: &Literal) -> Self {
        Self { source: constants::constant_name(literal), dtype: literal.dtype() }
    }

    /// Its name in the weights file: the source's own, and with the precision after it where that is a half one.
    pub(crate) fn name(&self) -> String {
        if self.dtype.is_half() {
            format!("{}.{}", self.source, encoding::precision_name(self.dtype))
        } else {
            self.source.clone()
        }
    }
}

/// What `graph` reads from its weights file, with shapes.
///
/// A parameter that is only ever cast to a half type is read in that type. One that nothing reads is stored as published.
pub(crate) fn reads(graph: &Graph) -> BTreeMap<Stored, Vec<usize>> {
    let shapes: BTreeMap<&str, Vec<usize>> = graph.params().collect();
    let mut views: Vec<Option<(&str, DType)>> = Vec::with_capacity(graph.nodes().len());
    let mut parameters: BTreeSet<(&str, DType)> = BTreeSet::new();
    for node in graph.nodes() {
        let view = view(node, node.inputs.first().and_then(|id| views[id.index()]));
        if view.is_none() {
            parameters.extend(node.inputs.iter().filter_map(|id| views[id.index()]));
        }
        views.push(view);
    }
    parameters.extend(graph.outputs().iter().filter_map(|(_, id)| views[id.index()]));
    for name in shapes.keys() {
        if !parameters.iter().any(|(read, _)| read == name) {
            parameters.insert((name, DType::F32));
        }
    }
    let parameters = parameters.into_iter().map(|(name, dtype)| (Stored::parameter(name, dtype), shapes[name].clone()));
    let constants = constants::large_constants(graph).map(|c| (Stored::constant(c), c.shape().to_vec()));
    parameters.chain(constants).collect()
}

/// The parameter, and the type, whose bytes `node` is a stretch of; `input` says the same of its first input.
fn view<'g>(node: &'g Node, input: Option<(&'g str, DType)>) -> Option<(&'g str, DType)> {
    match &node.op {
        Op::Param { name } => Some((name.as_str(), DType::F32)),
        Op::Reshape => input.filter(|_| node.fact.shape.iter().all(|dim| dim.as_fixed().is_some())),
        Op::Slice { axis: 0, .. } => input,
        Op::Cast { to } => input.filter(|(_, from)| casts_bytes(*from, *to)).map(|(name, _)| (name, *to)),
        Op::Input { .. }
        | Op::Constant(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Equal
        | Op::And
        | Op::Where
        | Op::Silu
        | Op::Gelu
        | Op::Tanh
        | Op::Transpose { .. }
        | Op::Slice { .. }
        | Op::Embedding
        | Op::Linear { .. }
        | Op::LayerNorm { .. }
        | Op::FrameNorm { .. }
        | Op::Attention { .. }
        | Op::CausalConv { .. }
        | Op::AveragePool
        | Op::UpsampleNearest
        | Op::HaarPatch { .. }
        | Op::HaarUnpatch { .. }
        | Op::L2Normalize { .. }
        | Op::ArgMax
        | Op::FsqQuantize { .. }
        | Op::FsqDequantize { .. } => None,
    }
}

/// Whether a cast of stored values is another way to store them: from the published type only, so that nothing is rounded
/// that the graph does not round.
pub(crate) fn casts_bytes(from: DType, to: DType) -> bool {
    from == DType::F32 && to.is_float()
}
