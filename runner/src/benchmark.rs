//! What a bundle takes on this machine: each of its engines, whole clips, and what the machine could do at best.
//!
//! Inputs are synthetic and follow from a seed: ids that the model has, masks that permit everything, numbers between -1
//! and 1. Nothing here says how fast something must be.

mod ceilings;
mod clips;
mod engines;
mod filling;
mod inputs;
mod latency;
mod resident;

pub use ceilings::{CEILINGS_RULE, CeilingGraphs, Ceilings, CeilingsError, DEVICE_CEILINGS_RULE};
pub use clips::{CLIPS_RULE, ClipLatency, ClipScope, DEVICE_CLIPS_RULE, measure_clips, measure_device_clips};
pub use engines::{Bound, EngineBenchmark, EngineBenchmarkError, EngineRuns, SHARE_RULE, measure_engine};
pub use filling::{FILLING_RULE, Filling, FillingEnd, fill};
pub use inputs::{InputError, Synthetic};
pub use latency::{Latency, REPEAT_RULE, measure};
