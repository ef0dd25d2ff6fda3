//! Which operations there are.

use std::collections::BTreeSet;

use egom2p_graph::{AttentionMask, DType, Graph, Literal, Op, Padding};

/// The names of all operations.
pub fn kinds() -> BTreeSet<&'static str> {
    std::iter::successors(Some(Op::Input { name: "" }), successor).map(|op| op.name()).collect()
}

/// The names of the operations of a graph.
pub fn kinds_of(graph: &Graph) -> BTreeSet<&'static str> {
    graph.nodes().iter().map(|node| node.op.name()).collect()
}

/// Some operation of the next kind: a chain through every one, which does not compile when one is left out.
fn successor(op: &Op) -> Option<Op> {
    Some(match op {
        Op::Input { .. } => Op::Param { name: String::new() },
        Op::Param { .. } => Op::Constant(Literal::scalar_i64(0)),
        Op::Constant(_) => Op::Add,
        Op::Add => Op::Sub,
        Op::Sub => Op::Mul,
        Op::Mul => Op::Equal,
        Op::Equal => Op::And,
        Op::And => Op::Where,
        Op::Where => Op::Silu,
        Op::Silu => Op::Gelu,
        Op::Gelu => Op::Tanh,
        Op::Tanh => Op::Cast { to: DType::F16 },
        Op::Cast { .. } => Op::Reshape,
        Op::Reshape => Op::Transpose { perm: Vec::new() },
        Op::Transpose { .. } => Op::Slice { axis: 0, start: 0, len: 0 },
        Op::Slice { .. } => Op::Embedding,
        Op::Embedding => Op::Linear { bias: false },
        Op::Linear { .. } => Op::LayerNorm { epsilon: 0.0, bias: false },
        Op::LayerNorm { .. } => Op::FrameNorm { epsilon: 0.0 },
        Op::FrameNorm { .. } => Op::Attention { heads: 1, scale: 1.0, causal: false, mask: AttentionMask::None },
        Op::Attention { .. } => Op::CausalConv { stride: 1, padding: Padding { before: 0, after: 0 } },
        Op::CausalConv { .. } => Op::AveragePool,
        Op::AveragePool => Op::UpsampleNearest,
        Op::UpsampleNearest => Op::HaarPatch { patch: 1 },
        Op::HaarPatch { .. } => Op::HaarUnpatch { patch: 1 },
        Op::HaarUnpatch { .. } => Op::L2Normalize { epsilon: 0.0 },
        Op::L2Normalize { .. } => Op::ArgMax,
        Op::ArgMax => Op::FsqQuantize { levels: Vec::new() },
        Op::FsqQuantize { .. } => Op::FsqDequantize { levels: Vec::new() },
        Op::FsqDequantize { .. } => return None,
    })
}
