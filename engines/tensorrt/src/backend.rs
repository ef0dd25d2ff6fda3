use crate::compile;
use crate::device::build_device;
use crate::engine::TrtEngine;
use crate::family::{FamilyFacts, RTX, TENSORRT};
use crate::{adopt, library};
use egom2p_engine_core::{
    AdoptRequest, Backend, BackendInfo, BuildReport, BuildRequest, CompileOptions, Device, Engine, EngineError,
    EngineRecord, EngineTarget, OpenRequest, Result, TensorSpec,
};
use egom2p_tensorrt_sys::{Driver, Family, Library, SysError};
use std::path::{Path, PathBuf};

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
    /// Folder for the timings of kernels, TensorRT 10 and 11 only; `None` for `egom2p/timing` in the user's cache folder.
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

    /// Makes the record of an engine that was built elsewhere, such as by `trtexec`, if its tensors are the given ones.
    /// The engine is described by the library, which takes a device that it fits.
    pub fn adopt(&self, engine: &Path, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<EngineRecord> {
        adopt::adopt(self, engine, inputs, outputs)
    }

    pub(crate) fn library(&self) -> Result<&'static Library> {
        library::open(self.facts, self.options.library.as_deref())
    }

    fn check_device(&self, device: Device) -> Result<()> {
        match device {
            Device::Cuda => Ok(()),
            Device::Cpu => Err(EngineError::DeviceUnsupported {
                backend: self.facts.name,
                device: device.to_string(),
                supported: "cuda",
                mend: "build with --device cuda, or choose --backend onnxruntime",
            }),
        }
    }

    /// Checks the options that the family does not have, or would not heed.
    fn check_options(&self, options: &CompileOptions) -> Result<()> {
        let unsupported = |option: &str, flag| {
            Err(EngineError::OptionUnsupported { backend: self.facts.name, option: option.to_owned(), flag })
        };
        match self.facts.family {
            Family::Rtx if options.version_compatible => {
                unsupported("engines for later versions", "--version-compatible")
            }
            Family::Rtx if options.hardware_compatibility.is_some() => unsupported(
                "hardware compatibility: it takes a list of compute capabilities",
                "--hardware-compatibility",
            ),
            Family::TensorRt if !options.compute_capabilities.is_empty() => {
                unsupported("engines for other devices than the present one", "--compute-capability")
            }
            _ => match options.optimization_level {
                Some(level) if level > compile::MAX_OPTIMIZATION_LEVEL => {
                    unsupported(&format!("optimisation level {level}: levels go from 0 to 5"), "--optimization-level")
                }
                _ => Ok(()),
            },
        }
    }
}

impl Backend for TensorRt {
    fn name(&self) -> &'static str {
        self.facts.name
    }

    fn check(&self) -> Result<BackendInfo> {
        let library = self.library()?;
        let devices = Driver::open().map_or(Vec::new(), |driver| {
            let (major, minor) = driver.cuda_version();
            let name = |device: &egom2p_tensorrt_sys::Device| {
                let (cc_major, cc_minor) = device.compute_capability;
                let gib = device.total_memory_bytes as f64 / f64::from(1 << 30);
                format!(
                    "{} (compute capability {cc_major}.{cc_minor}, {gib:.0} GiB, CUDA {major}.{minor})",
                    device.name
                )
            };
            driver.devices().iter().map(name).collect()
        });
        let targets = library.compute_capabilities().into_iter();
        let targets = targets.map(|(major, minor)| format!("builds for compute capability {major}.{minor}"));
        let mut features = vec![library.shim().to_string()];
        features.extend(targets);
        Ok(BackendInfo {
            backend: self.facts.name.to_owned(),
            library: library.core_path().to_owned(),
            version: library.version().to_string(),
            devices,
            features,
        })
    }

    fn target(&self, device: Device, options: &CompileOptions) -> Result<EngineTarget> {
        self.check_device(device)?;
        self.check_options(options)?;
        let mut capabilities = options.compute_capabilities.clone();
        capabilities.sort_unstable();
        capabilities.dedup();
        if capabilities.is_empty() {
            let (_, device) = build_device(self.facts)?;
            return Ok(EngineTarget::Device { name: device.name, compute_capability: device.compute_capability });
        }
        let library = self.library()?;
        let known = library.compute_capabilities();
        if let Some(asked) =
            capabilities.iter().map(|asked| (asked.major, asked.minor)).find(|asked| !known.contains(asked))
        {
            return Err(crate::message::foreign(&SysError::ComputeCapability { abi: library.abi(), asked, known }));
        }
        compile::place(self, options)?;
        Ok(EngineTarget::ComputeCapabilities(capabilities))
    }

    fn build(&self, request: &BuildRequest<'_>) -> Result<BuildReport> {
        let target = self.target(request.device, request.options)?;
        compile::build(self, request, target)
    }

    fn adopt(&self, request: &AdoptRequest<'_>) -> Result<BuildReport> {
        self.check_device(request.build.device)?;
        adopt::take(self, request)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Engine>> {
        self.check_device(request.device)?;
        Ok(Box::new(TrtEngine::open(self, request)?))
    }
}
