//! A C++ compiler, which only the `TensorRT` backend needs.

use std::{env, process::Command};

use anyhow::Result;

use crate::{console::failure, process};

/// Fails where no C++ compiler runs: the one that `CXX` names, or `c++`.
pub(in crate::setup) fn check() -> Result<()> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if process::succeeds(Command::new(&compiler).arg("--version")) {
        return Ok(());
    }
    Err(failure(
        format_args!("the TensorRT backend needs a C++ compiler, and \"{}\" does not run", compiler.display()),
        "run \"apt-get install g++\" as root, or set CXX to a C++ compiler",
    ))
}
