use crate::{BundleError, Result};
use egom2p_engine_core::Backend;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The backends, whether or not this program was built with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// ONNX Runtime, on the processor.
    #[default]
    OnnxRuntime,
}

/// Settings of the backends.
#[derive(Debug, Clone, Default)]
pub struct BackendOptions {
    /// The library of ONNX Runtime, if it is not in one of the usual places.
    pub onnxruntime_library: Option<PathBuf>,
}

/// A backend by its kind. Its native library is not opened yet.
pub fn open_backend(kind: BackendKind, options: &BackendOptions) -> Result<Box<dyn Backend>> {
    match kind {
        BackendKind::OnnxRuntime => onnxruntime(options),
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
    Err(BundleError::BackendLeftOut { name: BackendKind::OnnxRuntime.to_string() })
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackendKind::OnnxRuntime => "onnxruntime",
        })
    }
}

impl FromStr for BackendKind {
    type Err = BundleError;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "onnxruntime" => Ok(BackendKind::OnnxRuntime),
            _ => Err(BundleError::UnknownBackend { name: name.to_owned() }),
        }
    }
}
