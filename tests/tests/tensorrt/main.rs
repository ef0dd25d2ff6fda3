//! Engines of the smallest preset, compiled by the real TensorRT for RTX without a device, through the facade.

#![cfg(feature = "tensorrt")]
#![allow(clippy::print_stderr, reason = "measured times, and why a test is skipped")]

mod cache;
mod engines;
mod operations;
mod refusals;
mod workshop;
