use crate::engine::OrtEngine;
use crate::library::Library;
use crate::message::NAME;
use crate::optimise;
use egom2p_engine_core::{
    Backend, BackendInfo, BuildReport, BuildRequest, CompileOptions, Device, Engine, EngineError, EngineTarget,
    OpenRequest, Result,
};
use std::path::PathBuf;

/// The ONNX Runtime backend. It computes on the processor.
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
        Ok(BackendInfo {
            backend: NAME.to_owned(),
            library: library.path.clone(),
            version: library.version.clone(),
            devices: vec![Device::Cpu.to_string()],
            features: library.build_info.split(", ").map(str::to_owned).collect(),
        })
    }

    fn target(&self, device: Device, options: &CompileOptions) -> Result<EngineTarget> {
        check_device(device)?;
        if *options != CompileOptions::default() {
            return Err(EngineError::OptionUnsupported {
                backend: NAME,
                option: "settings of a compiler: it adapts its engines when they are loaded".to_owned(),
                flag: "what stands under \"Compiled engines\" in the help",
            });
        }
        Ok(EngineTarget::Cpu)
    }

    fn build(&self, request: &BuildRequest<'_>) -> Result<BuildReport> {
        self.target(request.device, request.options)?;
        optimise::build(self.library()?, request)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Engine>> {
        check_device(request.device)?;
        Ok(Box::new(OrtEngine::open(self.library()?, request)?))
    }
}

fn check_device(device: Device) -> Result<()> {
    match device {
        Device::Cpu => Ok(()),
        Device::Cuda => Err(EngineError::DeviceUnsupported {
            backend: NAME,
            device: device.to_string(),
            supported: "cpu",
            mend: "build with --device cpu, or choose a backend for NVIDIA GPUs",
        }),
    }
}
