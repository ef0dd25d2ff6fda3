use crate::{Engine, Profile, RelativePath, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A way to build and open engines. Its native library is opened by the first call, not before.
pub trait Backend: Send + Sync {
    /// Name, as `--backend` takes it.
    fn name(&self) -> &'static str;

    /// Opens the native library and says what was found. An error says what is missing and how to get it.
    fn check(&self) -> Result<BackendInfo>;

    /// Builds an engine. Existing files are not touched: the engine's files are named by [`BuildRequest::name`], which
    /// must be new, and appear under that name only when they are complete.
    fn build(&self, request: &BuildRequest<'_>) -> Result<BuildReport>;

    /// Opens a built engine.
    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Engine>>;
}

/// What a backend found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendInfo {
    /// Name of the backend.
    pub backend: String,
    /// The native library that was opened.
    pub library: PathBuf,
    /// Version of the library.
    pub version: String,
    /// Devices that engines can run on.
    pub devices: Vec<String>,
    /// What the library was built with, in its own words.
    pub features: Vec<String>,
}

/// Where an engine runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// What to build. All paths are inside `root`, so the result can be moved with it.
#[derive(Debug, Clone)]
pub struct BuildRequest<'a> {
    /// The folder that holds everything: the bundle.
    pub root: &'a Path,
    /// The ONNX file. Its external data lie beside it or below.
    pub onnx: &'a RelativePath,
    /// Folder for the engine's files, created if it is missing.
    pub engine_dir: &'a RelativePath,
    /// First part of the names of the engine's files.
    pub name: &'a str,
    /// Ranges of named dimensions.
    pub profile: &'a Profile,
    /// Where the engine is to run.
    pub device: Device,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildReport {
    /// The engine's files, the one to open first.
    pub files: Vec<RelativePath>,
    /// Bytes of weights that the engine shares with the ONNX file.
    pub shared_bytes: u64,
    /// Bytes of the engine's own files.
    pub own_bytes: u64,
    /// Names of weights that the backend rewrote, and that the engine therefore holds on its own.
    pub rewritten: Vec<String>,
}

/// What to open.
#[derive(Debug, Clone)]
pub struct OpenRequest<'a> {
    /// The folder that holds everything: the bundle.
    pub root: &'a Path,
    /// The engine's files, in the order of [`BuildReport::files`].
    pub files: &'a [RelativePath],
    /// Ranges the engine was built for.
    pub profile: &'a Profile,
    /// Where the engine runs.
    pub device: Device,
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        })
    }
}
