//! What the other commands need: ONNX Runtime in `cache/`, OpenCV and libclang as Debian packages.

mod debian;
mod onnxruntime;

use anyhow::Result;

use crate::{console::say, workspace::Workspace};

/// Fetches and checks everything; quick where all of it is present.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    debian::install()?;
    let library = onnxruntime::fetch(workspace)?;
    say(format_args!("set up: OpenCV, {}", library.display()));
    Ok(())
}
