//! NVIDIA GPUs as far as they go without one: the device on a driver that works on the host's memory.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod driver;
mod kernels;
mod losing;
mod opening;
mod recording;
mod transfers;
