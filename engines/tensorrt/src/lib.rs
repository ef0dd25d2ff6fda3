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
//! Sessions were tried with a stand-in for the libraries and the driver, compiled against the headers, and on no GPU.
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
//! # Sessions
//! - **Weights** are loaded for an engine's first session on a device, shared by its sessions there, and freed with the
//!   last of them.
//! - **Profiles**: a run takes the first profile of the record that holds its dimensions, in the engine's profile that
//!   holds that one.
//! - **Memory of activations** is the caller's ([`lend_scratch`](egom2p_engine_core::Session::lend_scratch)), else the
//!   session's own from its first run on; either is as large as the most demanding profile needs. A device that is too
//!   small is said to be, with what the engine takes, what is free, and the batch that would fit about.
//! - **Tensors** that do not lie at a multiple of 256 bytes are copied to memory that does, and empty ones get an address
//!   that stands for them: TensorRT takes nothing else.
//! - **CUDA graphs**: the second run of a kind (profile, shapes, addresses, stream) is captured, later ones are launched.
//!   A graph is bound to the state of the execution context that it was captured from, so that each has a context of its
//!   own; a session keeps at most 64 (the private module `graphs` says which), and no more than the device has room for.
//!   Where TensorRT for RTX says that an engine cannot be captured, the session runs it without graphs from then on;
//!   TensorRT 10 and 11 do not tell, and a run that fails while it is captured is an error.
//! - **Kernels** of TensorRT for RTX are compiled on the device when shapes first come up, in that run. They are kept in
//!   the user's cache folder when the last session ends, by library, device and engine. It is a cache: a file that is
//!   damaged, of another driver, or that cannot be written costs the time to compile again and nothing is said.
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
mod cache_file;
mod compile;
mod device;
mod engine;
mod family;
mod fit;
mod graphs;
mod layers;
mod library;
mod loaded;
mod log;
mod memory;
mod message;
mod output;
mod plan;
mod ranges;
mod room;
mod session;
mod tensorrt;
mod tensors;

pub use egom2p_tensorrt_sys::Family;
pub use tensorrt::{TensorRt, TensorRtOptions};
