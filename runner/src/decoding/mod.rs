//! The host side of decoding: schedules, positions, random streams and sampling (specification sections 4.1 to 4.4).
//!
//! Everything here is pure: no session, no file, no clock. A decoding loop reads as follows.
//!
//! 1. [`chain_steps`] turns the targets and their settings into a list of [`DecodingStep`]s.
//! 2. Per step, [`RoarStep::new`] gives the positions to decode and the sampling noise of that step.
//! 3. The loop runs the conditional and the unconditional pass for those positions and mixes the two, either on hidden
//!    states with [`guide`], or on logits inside the sampler with [`Logits::Guided`].
//! 4. [`Sampler::sample`] draws one token per position.

mod argsort;
mod error;
mod generator;
mod guidance;
mod noise;
mod positions;
mod sampler;
mod schedule;
mod temperature;

pub use argsort::argsort;
pub use error::DecodingError;
pub use generator::TorchGenerator;
pub use guidance::guide;
pub use noise::ExponentialNoise;
pub use positions::{RoarStep, step_positions};
pub use sampler::{Draw, Logits, Sampler, SamplerSettings, TopK};
pub use schedule::{DecodingStep, TargetPlan, TokenSchedule, chain_steps};
pub use temperature::TemperatureSchedule;
