//! TensorRT 10, TensorRT 11 and TensorRT-RTX 1 behind one safe interface, opened at run time.
//!
//! TensorRT's interface is C++ whose classes differ from version to version, so three levels stand between it and the
//! rest of the program:
//!
//! 1. **The shim** (`shim/`), compiled by `build/` with the feature `shim`: one C++ source, compiled once per ABI
//!    against that ABI's headers, in namespaces of its own. It links no library of NVIDIA: the few exported functions
//!    that TensorRT has are handed in as addresses. It exports one C function, which gives a table of functions and of
//!    the enumerators that the headers know by name.
//! 2. **The interface** (`src/ffi.rs`): the structs of `shim/abi.h`, as Rust sees them.
//! 3. **The safe types**: [`Driver`], [`Library`], [`Network`], [`Built`], [`LoadedEngine`], [`ExecutionContext`]. They
//!    keep the order that TensorRT needs in order not to crash. A library says its version before anything else is asked of it, the
//!    version picks the shim, and whatever needs a driver takes a [`Driver`].
//!
//! Without the feature nothing of C++ is compiled: [`compiled_shims`] is empty and [`Library::open`] says so.
//!
//! # Headers
//! The build script takes them from every folder of `TENSORRT_INCLUDE_DIR` (separated by `:`, each folder of another
//! ABI), else from the folders in `cache/tensorrt/headers` of the workspace, which `cargo xtask setup` fills, else
//! from `/usr/include/x86_64-linux-gnu`. A library must be at least as new as the headers of its ABI: within a major
//! version TensorRT only appends to its classes.
//!
//! # What the ABIs differ in
//! - Builder flags have other numbers in 10 than in 11 and RTX: they are set by name, from the headers' own lists.
//! - Only RTX builds for compute capabilities that are not present, and only RTX builds without a driver.
//! - RTX has no timing cache.
//! - RTX and 11 declare the same class names with different virtual tables. Every shim therefore renames the
//!   namespaces `nvinfer1` and `nvonnxparser`: two shims in one program would otherwise share inline functions.
//!
//! - RTX compiles kernels when a run first needs them, and can keep them ([`LoadedEngine::kernels`]); it alone says
//!   before a run whether the run can be captured.
//!
//! # Threads
//! A [`Network`] belongs to one thread at a time. A [`LoadedEngine`] is shared: its contexts may run in threads of their
//! own at the same time, each [`ExecutionContext`] in one thread at a time (NVIDIA's developer guide, "Threading").
//! Contexts of one engine are made and freed one at a time. Everything that touches a device first makes its context
//! the current one of the calling thread.
//!
//! # To add an ABI
//! Add it to [`Abi`] with the names of its libraries, to `abi_of` in `build/headers.rs`, to the `cfg`s in
//! `build/main.rs`, and to `src/ffi.rs` as one more table function. Whatever its headers declare otherwise gets an
//! `#if` on `TRT_MAJOR_RTX` or `NV_TENSORRT_MAJOR` in `shim/`.

mod abi;
mod built;
mod context;
mod driver;
mod engine;
mod error;
mod ffi;
mod library;
mod loaded;
mod log;
mod network;
mod progress;
mod settings;
mod soname;
mod tensor;

pub use abi::{Abi, CompiledShim, Family, Version, compiled_shims};
pub use built::{Built, HostBytes};
pub use context::{Binding, ExecutionContext, RunBindings};
pub use driver::{Device, Driver};
pub use engine::{EngineDescription, EngineProfile, EngineTensor, TensorMode};
pub use error::{ParserError, Result, SysError};
pub use library::Library;
pub use loaded::LoadedEngine;
pub use log::{LogSink, Severity};
pub use network::{Network, NetworkDim, NetworkLayer, NetworkTensor};
pub use progress::BuildProgress;
pub use settings::{BuildSettings, InputRange};
pub use tensor::{ElementType, MAX_DIMS};
