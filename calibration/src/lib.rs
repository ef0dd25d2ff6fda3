//! Reduced precision, written into the graph.
//!
//! A precision is no switch of an engine: [`with_precision`] turns a stage graph into another stage graph, whose casts say
//! what is computed in which type. The reference interpreter gives the new graph its meaning, export lowers it, and a
//! strongly typed engine computes what it says. Inputs and outputs are the same as before; every node keeps its place
//! in the tree of names.
//!
//! # The rule
//!
//! It is that of `torch.autocast`, made explicit. "Half" is `f16` or `bf16`.
//!
//! | operations | computed in | why |
//! |---|---|---|
//! | [`Linear`], [`CausalConv`], [`Attention`] | half; sums, and the softmax of attention, are `f32` inside | most of the time and the memory goes into products |
//! | of these, what the stage gives and what is searched (below) | `f32` | a rounding there is a wrong value or another token |
//! | [`LayerNorm`], [`FrameNorm`] | `f32` | statistics over hundreds to millions of values |
//! | [`L2Normalize`], [`ArgMax`], [`FsqQuantize`], [`FsqDequantize`] | `f32` | they decide tokens, or are exact |
//! | [`Embedding`], [`HaarPatch`], [`HaarUnpatch`] | `f32` | they begin and end the way through the network |
//! | [`Add`], [`Sub`], [`Mul`], [`Where`], [`Silu`], [`Gelu`], [`Tanh`], [`AveragePool`], [`UpsampleNearest`], [`Reshape`], [`Transpose`], [`Slice`] | the widest type among their inputs | the residual stream of a transformer thus stays `f32` |
//! | [`Cast`] | what it says | the graph's own word counts |
//!
//! A product stays in `f32` when between its result and one of these places lie only casts, changes of shape
//! ([`Reshape`], [`Transpose`], [`Slice`]), activations ([`Silu`], [`Gelu`], [`Tanh`]) and at most one [`Add`]:
//!
//! - an output of the stage: logits, context, a clip;
//! - a search: [`ArgMax`], [`FsqQuantize`], or [`L2Normalize`], which makes vectors ready to be compared by direction.
//!
//! Parameters are `f32`. One that nothing but half products read, directly or in part or in another shape, is cast where it
//! stands, so that an export can store it in the half type; any other is cast where a product needs it. Casts are shared.
//!
//! [`Linear`]: egom2p_graph::Op::Linear
//! [`CausalConv`]: egom2p_graph::Op::CausalConv
//! [`Attention`]: egom2p_graph::Op::Attention
//! [`LayerNorm`]: egom2p_graph::Op::LayerNorm
//! [`FrameNorm`]: egom2p_graph::Op::FrameNorm
//! [`L2Normalize`]: egom2p_graph::Op::L2Normalize
//! [`ArgMax`]: egom2p_graph::Op::ArgMax
//! [`FsqQuantize`]: egom2p_graph::Op::FsqQuantize
//! [`FsqDequantize`]: egom2p_graph::Op::FsqDequantize
//! [`Embedding`]: egom2p_graph::Op::Embedding
//! [`HaarPatch`]: egom2p_graph::Op::HaarPatch
//! [`HaarUnpatch`]: egom2p_graph::Op::HaarUnpatch
//! [`Add`]: egom2p_graph::Op::Add
//! [`Sub`]: egom2p_graph::Op::Sub
//! [`Mul`]: egom2p_graph::Op::Mul
//! [`Where`]: egom2p_graph::Op::Where
//! [`Silu`]: egom2p_graph::Op::Silu
//! [`Gelu`]: egom2p_graph::Op::Gelu
//! [`Tanh`]: egom2p_graph::Op::Tanh
//! [`AveragePool`]: egom2p_graph::Op::AveragePool
//! [`UpsampleNearest`]: egom2p_graph::Op::UpsampleNearest
//! [`Reshape`]: egom2p_graph::Op::Reshape
//! [`Transpose`]: egom2p_graph::Op::Transpose
//! [`Slice`]: egom2p_graph::Op::Slice
//! [`Cast`]: egom2p_graph::Op::Cast

mod precision;
mod rule;
mod transform;

pub use precision::{Precision, UnknownPrecision};
pub use transform::with_precision;
