use crate::{BundleError, Result};
use egom2p_engine_core::Backend;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The backends, whether or not this program was built with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// ONNX Runtime, on the processor or on an NVIDIA GPU.
    #[default]
    OnnxRuntime,
    /// `TensorRT` 10 or 11, for the NVIDIA GPU of the machine that builds.
    TensorRt,
    /// `TensorRT` for RTX, also ahead of time for GPUs that are not there.
    TensorRtRtx,
}

/// Settings of the backends.
#[derive(Debug, Clone, Default)]
pub struct BackendOptions {
    /// The library of ONNX Runtime, if it is not in one of the usual places.
    pub onnxruntime_library: Option<PathBuf>,
    /// The core library of `TensorRT` or of `TensorRT` for RTX, whichever is used, if it is not in one of the usual
    /// places. Its parser lies beside it.
    pub tensorrt_library: Option<PathBuf>,
    /// The folder for timing caches of `TensorRT`, if not the user's cache folder.
    pub timing_cache: Option<PathBuf>,
}

/// A backend by its kind. Its native library is not opened yet.
pub fn open_backend(kind: BackendKind, options: &BackendOptions) -> Result<Box<dyn Backend>> {
    match kind {
        BackendKind::OnnxRuntime => onnxruntime(options),
        BackendKind::TensorRt | BackendKind::TensorRtRtx => tensorrt(kind, options),
    }
}

#[cfg(feature = "onnxruntime")]
#[allow(clippy::unnecessary_wraps, reason = "the same function without the feature fails")]
fn onnxruntime(options: &BackendOptions) -> Result<Box<dyn Backend>> {
    use egom2p_engine_onnxruntime::{OnnxRuntime, OnnxRuntimeOptions};
    Ok(Box::new(OnnxRuntime::new(OnnxRuntimeOptions { library: options.onnxruntime_library.clone() })))
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &BackendOptions) -> Result<Box<dyn Backend>> {
    Err(BundleError::BackendLeftOut { name: BackendKind::OnnxRuntime.to_string(), feature: "onnxruntime" })
}

#[cfg(feature = "tensorrt")]
#[allow(clippy::unnecessary_wraps, reason = "the same function without the feature fails")]
fn tensorrt(kind: BackendKind, options: &BackendOptions) -> Result<Box<dyn Backend>> {
    use egom2p_engine_tensorrt::{Family, TensorRt, TensorRtOptions};
    let family = if kind == BackendKind::TensorRtRtx { Family::Rtx } else { Family::TensorRt };
    let (library, timing_cache) = (options.tensorrt_library.clone(), options.timing_cache.clone());
    Ok(Box::new(TensorRt::new(family, TensorRtOptions { library, timing_cache })))
}

#[cfg(not(feature = "tensorrt"))]
fn tensorrt(kind: BackendKind, _: &BackendOptions) -> Result<Box<dyn Backend>> {
    Err(BundleError::BackendLeftOut { name: kind.to_string(), feature: "tensorrt" })
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackendKind::OnnxRuntime => "onnxruntime",
            BackendKind::TensorRt => "tensorrt",
            BackendKind::TensorRtRtx => "tensorrt-rtx",
        })
    }
}

impl FromStr for BackendKind {
    type Err = BundleError;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "onnxruntime" => Ok(BackendKind::OnnxRuntime),
            "tensorrt" => Ok(BackendKind::TensorRt),
            "tensorrt-rtx" => Ok(BackendKind::TensorRtRtx),
            _ => Err(BundleError::UnknownBackend { name: name.to_owned() }),
        }
    }
}
