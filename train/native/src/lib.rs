//! What training needs of libtorch and `tch` does not have: [`fused_adamw`], the states of random generators,
//! [`checkpoint`] of activations, torch's own distributed engine, c10d ([`Store`], [`ProcessGroup`], [`Reducer`]), and its part
//! for GPUs ([`Gpu`]).
//!
//! Two levels stand between libtorch's C++ and the rest of the program:
//!
//! 1. **The shim** (`shim/`), compiled by `build.rs` against the headers of the libtorch that `torch-sys` links. No
//!    exception leaves it: every function tells a failure, with its kind and what libtorch said.
//! 2. **The safe layer** (`src/`), on `tch`'s tensors. This is the one crate of training with `unsafe`.
//!
//! # Headers that the wheel lacks
//! c10d's `ProcessGroupGloo.hpp` includes headers of gloo, which are not published with libtorch. `shim/gloo` declares
//! what it names. That is enough, because gloo's objects are held by pointer only and live in `libtorch_cpu`.
//!
//! # GPUs
//! `shim/cuda.cpp` is no part of the program: it is a shared object that links `libtorch_cuda`, and [`Gpu::open`] opens it.
//! Loading `libtorch_cuda` registers CUDA with the libtorch that the program links, so that one program serves both.
//!
//! # Limits
//! - The part for GPUs has not run on one yet.
//! - A rank that ends is noticed at once, because its connections close. A machine that vanishes without closing them is
//!   noticed when the group's timeout is over.

mod adamw;
mod checkpoint;
mod error;
mod ffi;
mod generator;
mod gpu;
mod group;
mod reducer;
mod store;

pub use adamw::{AdamWStep, AdamWTensors, fused_adamw};
pub use checkpoint::checkpoint;
pub use error::{NativeError, Result};
pub use generator::{generator_state, seed_generator, set_generator_state};
pub use gpu::Gpu;
pub use group::{GroupSettings, ProcessGroup, Reduction};
pub use reducer::{Reducer, ReducerSettings};
pub use store::Store;
