//! The crate from outside. Every test opens libraries for the life of its process: run them with `cargo nextest`.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

#[cfg(feature = "shim")]
#[allow(dead_code, reason = "only the build script uses all of it")]
#[path = "../../build/enums.rs"]
mod enums;
#[cfg(feature = "shim")]
#[path = "../fake/mod.rs"]
mod fake;
#[cfg(feature = "shim")]
mod foreign_libraries;
#[cfg(feature = "shim")]
#[allow(dead_code, clippy::print_stdout, reason = "only the build script uses all of it, and speaks to cargo")]
#[path = "../../build/headers.rs"]
mod headers;
#[cfg(feature = "shim")]
mod rtx;
#[cfg(feature = "shim")]
mod running;
#[cfg(feature = "shim")]
mod support;
#[cfg(not(feature = "shim"))]
mod without_shim;
