//! What a bundle takes on this machine: each of its engines, whole clips, and what the machine could do at best.
//!
//! Inputs are synthetic and follow from a seed: ids that the model has, masks that permit everything, numbers between -1
//! and 1. Nothing here says how fast something must be.

mod ceilings;
mod clips;
mod engines;
mod inputs;
mod latency;

pub use ceilings::{CEILINGS_RULE, CeilingGraphs, Ceilings, CeilingsError};
pub use clips::{CLIPS_RULE, ClipLatency, ClipScope, measure_clips};
pub use engines::{Bound, EngineBenchmark, EngineBenchmarkError, SHARE_RULE, measure_engine};
pub use inputs::{InputError, Synthetic};
pub use latency::{Latency, REPEAT_RULE, measure};
