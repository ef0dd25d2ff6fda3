//! Training by several processes: how they were launched, and what they do together. The engine is torch's own, c10d with
//! Gloo on the processor and NCCL between GPUs; there is no collective of this project.

mod error;
mod hosts;
mod launch;
mod ranks;

pub use error::{DistributedError, Result};
pub use launch::Launch;
pub use ranks::Ranks;
