use crate::engine::OrtEngine;
use crate::library::Library;
use crate::message::NAME;
use crate::{cuda, optimise, relocate};
use egom2p_engine_core::{
    Backend, BackendInfo, BuildReport, BuildRequest, CompileOptions, Device, Engine, EngineError, EngineTarget,
    OpenRequest, Result,
};
use std::path::PathBuf;

/// The ONNX Runtime backend. It computes on the processor, and on NVIDIA GPUs with a library that has the CUDA provider.
#[derive(Debug, Clone, Default)]
pub struct OnnxRuntime {
    options: OnnxRuntimeOptions,
}

/// Settings of the backend.
#[derive(Debug, Clone, Default)]
pub struct OnnxRuntimeOptions {
    /// The library to open. The environment variable `ORT_DYLIB_PATH` goes before it. Without either, the library is
    /// looked for beside the executable, then in `cache/onnxruntime` of the workspace that holds the executable.
    pub library: Option<PathBuf>,
}

impl OnnxRuntime {
    /// The backend with these settings. Nothing is opened yet.
    pub fn new(options: OnnxRuntimeOptions) -> Self {
        Self { options }
    }

    fn library(&self) -> Result<&'static Library> {
        Library::open(self.options.library.as_deref())
    }
}

impl Backend for OnnxRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<BackendInfo> {
        let library = self.library()?;
        let cuda = cuda::is_available(library).then_some(Device::Cuda);
        Ok(BackendInfo {
            backend: NAME.to_owned(),
            library: library.path.clone(),
            version: library.version.clone(),
            devices: [Device::Cpu].into_iter().chain(cuda).map(|device| device.to_string()).collect(),
            features: library.build_info.split(", ").map(str::to_owned).collect(),
        })
    }

    fn target(&self, device: Device, options: &CompileOptions) -> Result<EngineTarget> {
        if *options != CompileOptions::default() {
            return Err(EngineError::OptionUnsupported {
                backend: NAME,
                option: "settings of a compiler: it adapts its engines when they are loaded".to_owned(),
                flag: "what stands under \"Compiled engines\" in the help",
            });
        }
        Ok(match device {
            Device::Cpu => EngineTarget::Cpu,
            Device::Cuda => EngineTarget::ComputeCapabilities(Vec::new()),
        })
    }

    fn build(&self, request: &BuildRequest<'_>) -> Result<BuildReport> {
        self.target(request.device, request.options)?;
        match request.device {
            Device::Cpu => optimise::build(self.library()?, request),
            Device::Cuda => relocate::build(request),
        }
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Engine>> {
        Ok(Box::new(OrtEngine::open(self.library()?, request)?))
    }
}
