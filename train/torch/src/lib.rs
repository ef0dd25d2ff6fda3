//! Stage graphs run by libtorch, with gradients: the graphs that are exported are the ones that are trained.
//!
//! [`run`] interprets a [`egom2p_graph::Graph`] on libtorch's tensors; [`CheckpointedGraph`] does so and keeps less for the
//! backward pass. What an operation means is the reference interpreter's business. What training adds:
//!
//! - [`egom2p_graph::Op::FsqQuantize`] and [`egom2p_graph::Op::ArgMax`] give integers, where gradients end. Training of a
//!   tokenizer goes around them: it runs a graph up to the latents, quantises with a straight-through estimator, and runs
//!   another graph from the codes on.
//! - A query with no permitted key gets exactly zero from [`egom2p_graph::Op::Attention`], and passes exactly zero back.
//!
//! Precision is what the graph says: `calibration` makes graphs of halves by the rule of autocast, in which the casts of a
//! parameter carry its gradient back to the parameter, which stays `f32`.

mod block;
mod checkpointed;
mod error;
mod evaluate;
mod inputs;
mod parameters;
mod run;
mod values;

pub use block::{Block, blocks};
pub use checkpointed::CheckpointedGraph;
pub use error::{Result, TorchError};
pub use parameters::TorchParameters;
pub use run::run;
