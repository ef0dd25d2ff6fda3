//! The vocabulary that every stage of EgoM2P is written in, and what its words mean.
//!
//! A stage is one [`Graph`]: nodes in execution order, each an [`Op`] with a [`DType`] and a shape of named
//! dimensions ([`Dim`]). Graphs are recorded with a [`Builder`]; everything else reads them: the reference
//! interpreter here says what they mean, export lowers them to ONNX, training runs them with libtorch.
//!
//! This crate does no I/O, calls no foreign code and knows nothing of EgoM2P.

mod builder;
mod cost;
mod dim;
mod dtype;
mod graph;
mod infer;
pub mod interpreter;
mod listing;
mod literal;
mod op;
mod parameters;

pub use builder::{BuildError, Builder, Value};
pub use cost::Cost;
pub use dim::{Bindings, Dim, DimError, DimRule};
pub use dtype::DType;
pub use graph::{Fact, Graph, Node, NodeId};
pub use literal::{Literal, LiteralData, LiteralError};
pub use op::{AttentionMask, Op, Padding};
pub use parameters::{ParameterError, Parameters};
