//! What the other commands need: native libraries and headers in `cache/`, OpenCV and libclang as Debian packages.

mod debian;
mod digest;
mod folder;
mod nvrtc;
pub(crate) mod onnxruntime;
mod tensorrt;
mod wheel;

use anyhow::Result;

use crate::{
    console::say,
    workspace::{HAS_TENSORRT_RTX, Workspace},
};

/// Fetches and checks everything; quick where all of it is present.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    with_tensorrt(workspace)?;
    if HAS_TENSORRT_RTX {
        let library = tensorrt::rtx::fetch(workspace)?;
        say(format_args!("set up: {}, {}", library.display(), nvrtc::fetch(workspace)?.display()));
    } else {
        say("left out: TensorRT for RTX and NVRTC, which are published as packages for Linux on x86-64 only");
    }
    Ok(())
}

/// What every program needs.
pub(crate) fn plain(workspace: &Workspace) -> Result<()> {
    debian::install()?;
    let library = onnxruntime::fetch(workspace)?;
    say(format_args!("set up: OpenCV, {}", library.display()));
    Ok(())
}

/// What every program needs, and what compiling the `TensorRT` backend needs; the user has the library.
pub(crate) fn with_tensorrt(workspace: &Workspace) -> Result<()> {
    plain(workspace)?;
    tensorrt::compiler::check()?;
    let headers = tensorrt::headers::fetch(workspace)?;
    say(format_args!("set up: {}", headers.display()));
    Ok(())
}
