use crate::{
    BuildMonitor, CompileOptions, Engine, EngineError, EngineMemory, EngineTarget, Profile, RelativePath, Result,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A way to build and open engines. Its native library is opened by the first call, not before.
pub trait Backend: Send + Sync {
    /// Name, as `--backend` takes it.
    fn name(&self) -> &'static str;

    /// Opens the native library and says what was found. An error says what is missing and how to get it.
    fn check(&self) -> Result<BackendInfo>;

    /// What an engine with these options would run on: part of its key. An error says what is missing to build it here.
    fn target(&self, device: Device, options: &CompileOptions) -> Result<EngineTarget>;

    /// Builds an engine. Existing files are not touched: the engine's files are named by [`BuildRequest::name`], which
    /// must be new, and appear under that name only when they are complete.
    fn build(&self, request: &BuildRequest<'_>) -> Result<BuildReport>;

    /// Takes over an engine that was built elsewhere, in place of building it: checks that it can run here and that its
    /// tensors are those of the ONNX file, and makes the files that [`Backend::build`] would make. Only backends that
    /// compile have engines to take over.
    fn adopt(&self, request: &AdoptRequest<'_>) -> Result<BuildReport> {
        Err(EngineError::OptionUnsupported {
            backend: self.name(),
            option: format!("compiled engines such as {}", request.engine.display()),
            flag: "--engine",
        })
    }

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
#[derive(Clone)]
pub struct BuildRequest<'a> {
    /// The folder that holds everything: the bundle.
    pub root: &'a Path,
    /// The ONNX file. Its external data lie beside it or below.
    pub onnx: &'a RelativePath,
    /// Folder for the engine's files, created if it is missing.
    pub engine_dir: &'a RelativePath,
    /// First part of the names of the engine's files.
    pub name: &'a str,
    /// Ranges of named dimensions, one or several; a call will fit one of them.
    pub profiles: &'a [Profile],
    /// Where the engine is to run.
    pub device: Device,
    /// How it is compiled, for backends that compile.
    pub options: &'a CompileOptions,
    /// Is told how it goes, and can stop it.
    pub monitor: &'a dyn BuildMonitor,
}

/// What to take over.
#[derive(Clone)]
pub struct AdoptRequest<'a> {
    /// The build that it stands in for. The ranges and the options are those of a build; the engine has its own.
    pub build: BuildRequest<'a>,
    /// The engine's file, anywhere.
    pub engine: &'a Path,
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
    /// Device memory that the engine takes; none for backends that do not compile.
    pub memory: Option<EngineMemory>,
    /// The most memory of this machine that the process held during the build, where it is known.
    pub peak_bytes: Option<u64>,
}

/// What to open.
#[derive(Debug, Clone)]
pub struct OpenRequest<'a> {
    /// The folder that holds everything: the bundle.
    pub root: &'a Path,
    /// The engine's files, in the order of [`BuildReport::files`].
    pub files: &'a [RelativePath],
    /// Ranges the engine was built for.
    pub profiles: &'a [Profile],
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
