use crate::device::build_device;
use crate::engine::TrtEngine;
use crate::tensorrt::TensorRt;
use crate::{adopt, compile};
use egom2p_engine_core::{
    AdoptRequest, Backend, BackendInfo, BuildReport, BuildRequest, CompileOptions, Device, Engine, EngineError,
    EngineTarget, OpenRequest, Result,
};
use egom2p_tensorrt_sys::{Driver, Family, SysError};

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

impl TensorRt {
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
