//! TensorRT and TensorRT for RTX behind the engine contract, loaded at run time.
//!
//! An engine of these backends is compiled from an ONNX file for given devices and cannot be read without its library,
//! so it is written as `NAME.engine` with a record of what it is as `NAME.engine.json`:
//! [`EngineRecord`](egom2p_engine_core::EngineRecord).
//!
//! # Libraries
//! | backend | libraries | tried |
//! |---|---|---|
//! | `tensorrt-rtx` | TensorRT for RTX 1.7 or a later 1.x | 1.7.1.116, builds without a device |
//! | `tensorrt` | TensorRT 10 or 11 | headers only; building and running take a device |
//!
//! The feature `shim` compiles what calls them; without it every call says so. The core library is opened by the first
//! call to a backend, with the ONNX parser that lies beside it, from a place that the error names, never by a search of
//! the system.
//!
//! # What needs a device
//! | | `tensorrt-rtx` | `tensorrt` |
//! |---|---|---|
//! | [`check`](egom2p_engine_core::Backend::check) | no | no |
//! | [`build`](egom2p_engine_core::Backend::build) for named compute capabilities | no | not offered |
//! | `build` for the present device | yes | yes |
//! | replaceable or stripped weights | yes | yes |
//! | [`open`](egom2p_engine_core::Backend::open), [`adopt`](TensorRt::adopt) | yes | yes |
//! | reading a record | no | no |
//!
//! Sessions are not in this version: an open engine has been checked to fit the device, and says so when it is to run.
//!
//! # Options that are refused
//! TensorRT for RTX ignores hardware compatibility with a warning, and its version-compatible engines need a library
//! that does not exist; TensorRT 10 and 11 know no compute capability but the present one. A setting that would not be
//! heeded is an error.
//!
//! # Memory
//! TensorRT may crash or stop for good where memory ends, so a build is refused before it starts unless 400 MB and 3.5
//! bytes per byte of weights are free: memory of the machine and of the control group, and address space of the process.
//! The private module `memory` has the measurements. Builds with TensorRT 10 and 11 were not measured and take at least
//! as much.
//!
//! # Invariants
//! - Every model is scanned, and its external data are checked to lie inside its folder, before TensorRT sees it.
//! - An engine's size, header, record, library and device are checked before TensorRT sees it.
//! - Files appear under their names when they are complete; a build that fails or is cancelled leaves none.

mod adopt;
mod backend;
mod compile;
mod device;
mod engine;
mod family;
mod fit;
mod layers;
mod library;
mod log;
mod memory;
mod message;
mod output;
mod plan;
mod ranges;
mod tensorrt;
mod tensors;
mod timing;

pub use egom2p_tensorrt_sys::Family;
pub use tensorrt::{TensorRt, TensorRtOptions};
