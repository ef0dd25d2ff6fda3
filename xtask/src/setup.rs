//! What the other commands need: native libraries and headers in `cache/`, OpenCV and libclang as Debian packages.

pub(crate) mod component;
mod debian;
mod digest;
mod folder;
pub(crate) mod libtorch;
mod nvrtc;
pub(crate) mod onnxruntime;
pub(crate) mod onnxruntime_gpu;
pub(crate) mod tensorrt;
mod torch_cuda;
pub(crate) mod wheel;

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    console::say,
    workspace::{HAS_LIBTORCH, HAS_TENSORRT_RTX, Workspace},
};

/// Fetch and check what the other commands need.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also fetch ONNX Runtime with CUDA and the libraries of NVIDIA that it asks for, to run bundles for GPUs that
    /// were built with --backend onnxruntime: 1.2 GB to download, 1.7 GB when unpacked.
    #[arg(long)]
    onnxruntime_gpu: bool,
    /// Also compile what training on GPUs needs, against the torch that pip has installed in this site-packages
    #[arg(long, value_name = "SITE-PACKAGES")]
    torch_cuda: Option<PathBuf>,
}

/// Fetches and checks what was asked for.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    everything(workspace)?;
    if arguments.onnxruntime_gpu {
        let folder = onnxruntime_gpu::fetch(workspace)?;
        let library = folder.join(onnxruntime::library_name());
        say(format_args!("set up: {}, which programs find with", folder.display()));
        say(format_args!("  export ORT_DYLIB_PATH={} LD_LIBRARY_PATH={}", library.display(), folder.display()));
    }
    if let Some(site) = &arguments.torch_cuda {
        let [(library, path), (search, folder)] = torch_cuda::build(workspace, site)?;
        say(format_args!("set up: {}, which egom2p-train finds with", path.display()));
        say(format_args!("  export {library}={} {search}={}", path.display(), folder.display()));
    }
    Ok(())
}

/// Fetches and checks all that needs no GPU; quick where it is present.
pub(crate) fn everything(workspace: &Workspace) -> Result<()> {
    with_tensorrt_rtx(workspace)?;
    if HAS_LIBTORCH {
        say(format_args!("set up: {}", libtorch::fetch(workspace)?.display()));
    } else {
        say("left out: libtorch, which is pinned for Linux on x86-64 only; LIBTORCH may name another");
    }
    Ok(())
}

/// What every program needs, and what building engines with `TensorRT` for RTX needs.
pub(crate) fn with_tensorrt_rtx(workspace: &Workspace) -> Result<()> {
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
