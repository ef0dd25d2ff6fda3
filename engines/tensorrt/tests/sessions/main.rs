//! Sessions on compiled engines, on a fake TensorRT of every ABI and a fake driver.

#![cfg(feature = "shim")]
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod bench;
#[allow(dead_code, reason = "only the build script of egom2p-tensorrt-sys uses all of it")]
#[path = "../../../tensorrt-sys/build/enums.rs"]
mod enums;
#[path = "../../../tensorrt-sys/tests/fake/mod.rs"]
mod fake;
#[allow(dead_code, clippy::print_stdout, reason = "only the build script uses all of it, and speaks to cargo")]
#[path = "../../../tensorrt-sys/build/headers.rs"]
mod headers;
mod kernels;
mod memory;
mod refusals;
mod runs;
