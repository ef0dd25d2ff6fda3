//! The egom2p binary: video in, guided decoding, predictions out.

pub mod benchmark;
pub mod clips;
pub mod decoding;
pub mod device_pipeline;
pub mod device_workers;
pub mod engine_stages;
pub mod frames;
pub mod generation;
pub mod io;
pub mod pipeline;
pub mod predictions;
pub mod profiles;
mod routing;
pub mod run_report;
pub mod source_digests;
pub mod stage_inputs;
pub mod stages;
pub mod tensors;
pub mod tokenizer;
pub mod video;
pub mod weights_check;

pub use egom2p_motion as motion;
