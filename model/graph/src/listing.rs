use std::fmt;

use crate::{AttentionMask, Dim, Fact, Graph, Op};

/// One node a line, then the outputs: what snapshots store, reviewers read and digests cover.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for rule in &self.rules {
            writeln!(f, "where {} is {rule}", rule.name)?;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            write!(f, "%{index} = {}(", node.op)?;
            for (position, input) in node.inputs.iter().enumerate() {
                write!(f, "{}%{}", if position > 0 { ", " } else { "" }, input.0)?;
            }
            write!(f, ") : {}", node.fact)?;
            if node.scope.is_empty() { writeln!(f)? } else { writeln!(f, "  // {}", node.scope)? }
        }
        for (name, id) in &self.outputs {
            writeln!(f, "output {name} = %{}", id.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<String> = self.shape.iter().map(Dim::to_string).collect();
        write!(f, "{}[{}]", self.dtype, shape.join(", "))
    }
}

/// The operation with its attributes, without its inputs.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Input { name } => write!(f, " {name}"),
            Self::Param { name } => write!(f, " {name}"),
            Self::Constant(literal) => match literal.data() {
                data if data.len() > 8 => write!(f, " <{} values, checksum {:016x}>", data.len(), checksum(data)),
                crate::LiteralData::F32(values) => write!(f, " {values:?}"),
                crate::LiteralData::I64(values) => write!(f, " {values:?}"),
                crate::LiteralData::Bool(values) => write!(f, " {values:?}"),
            },
            Self::Cast { to } => write!(f, " {to}"),
            Self::Transpose { perm } => write!(f, " {perm:?}"),
            Self::Slice { axis, start, len } => write!(f, " axis {axis} [{start}..{}]", start + len),
            Self::LayerNorm { epsilon, .. } | Self::FrameNorm { epsilon } | Self::L2Normalize { epsilon } => {
                write!(f, " epsilon {epsilon:e}")
            }
            Self::Attention { heads, scale, causal, mask } => {
                write!(f, " heads {heads} scale {scale}{}", if *causal { " causal" } else { "" })?;
                match mask {
                    AttentionMask::None => Ok(()),
                    AttentionMask::Keys => f.write_str(" mask keys"),
                    AttentionMask::Pairs => f.write_str(" mask pairs"),
                }
            }
            Self::CausalConv { stride, padding } => {
                write!(f, " stride {stride} padding {}+{}", padding.before, padding.after)
            }
            Self::HaarPatch { patch } | Self::HaarUnpatch { patch } => write!(f, " {patch}"),
            Self::FsqQuantize { levels } | Self::FsqDequantize { levels } => write!(f, " {levels:?}"),
            Self::Add
            | Self::Sub
            | Self::Mul
            | Self::Equal
            | Self::And
            | Self::Where
            | Self::Silu
            | Self::Gelu
            | Self::Tanh
            | Self::Reshape
            | Self::Embedding
            | Self::Linear { .. }
            | Self::AveragePool
            | Self::UpsampleNearest
            | Self::ArgMax => Ok(()),
        }
    }
}

impl Op {
    /// The operation's name in listings, documentation and node names.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "input",
            Self::Param { .. } => "param",
            Self::Constant(_) => "constant",
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Equal => "equal",
            Self::And => "and",
            Self::Where => "where",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
            Self::Cast { .. } => "cast",
            Self::Reshape => "reshape",
            Self::Transpose { .. } => "transpose",
            Self::Slice { .. } => "slice",
            Self::Embedding => "embedding",
            Self::Linear { .. } => "linear",
            Self::LayerNorm { .. } => "layer_norm",
            Self::FrameNorm { .. } => "frame_norm",
            Self::Attention { .. } => "attention",
            Self::CausalConv { .. } => "causal_conv",
            Self::AveragePool => "average_pool",
            Self::UpsampleNearest => "upsample_nearest",
            Self::HaarPatch { .. } => "haar_patch",
            Self::HaarUnpatch { .. } => "haar_unpatch",
            Self::L2Normalize { .. } => "l2_normalize",
            Self::ArgMax => "arg_max",
            Self::FsqQuantize { .. } => "fsq_quantize",
            Self::FsqDequantize { .. } => "fsq_dequantize",
        }
    }
}

/// FNV-1a over the bytes, so that two constants of one shape never list alike.
fn checksum(data: &crate::LiteralData) -> u64 {
    fn fold(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
    match data {
        crate::LiteralData::F32(values) => fold(values.iter().flat_map(|value| value.to_le_bytes())),
        crate::LiteralData::I64(values) => fold(values.iter().flat_map(|value| value.to_le_bytes())),
        crate::LiteralData::Bool(values) => fold(values.iter().map(|&value| u8::from(value))),
    }
}
