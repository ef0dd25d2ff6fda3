use crate::family::{FamilyFacts, RTX, TENSORRT};
use crate::library;
use egom2p_engine_core::Result;
use egom2p_tensorrt_sys::{Family, Library};
use std::path::PathBuf;

/// The TensorRT backend of one family: `tensorrt` or `tensorrt-rtx`.
#[derive(Debug, Clone)]
pub struct TensorRt {
    pub(crate) facts: &'static FamilyFacts,
    pub(crate) options: TensorRtOptions,
}

/// Settings of the backend.
#[derive(Debug, Clone, Default)]
pub struct TensorRtOptions {
    /// The core library to open, or the folder that holds it; its ONNX parser lies beside it. The environment variable
    /// `TENSORRT_RTX_LIBRARY` or `TENSORRT_LIBRARY` goes before it. Without either, the libraries are looked for beside
    /// the executable, then in `cache/tensorrt` of the workspace that holds the executable (RTX), or where NVIDIA's
    /// packages put them (TensorRT 10 and 11).
    pub library: Option<PathBuf>,
    /// Folder for the timings of kernels (TensorRT 10 and 11) and for kernels that were compiled for the device (RTX);
    /// `None` for `egom2p/timing` in the user's cache folder.
    pub timing_cache: Option<PathBuf>,
}

impl TensorRt {
    /// The backend with these settings. Nothing is opened yet.
    pub fn new(family: Family, options: TensorRtOptions) -> Self {
        let facts = match family {
            Family::TensorRt => &TENSORRT,
            Family::Rtx => &RTX,
        };
        Self { facts, options }
    }

    pub(crate) fn library(&self) -> Result<&'static Library> {
        library::open(self.facts, self.options.library.as_deref())
    }
}
