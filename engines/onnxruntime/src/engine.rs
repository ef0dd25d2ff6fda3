use crate::cuda;
use crate::cuda_session::CudaSession;
use crate::library::Library;
use crate::session::OrtSession;
use egom2p_device::{ComputeDevice, DeviceKind, open_cuda};
use egom2p_engine_core::onnx::{broken, check_external, model_specs, read_model};
use egom2p_engine_core::{Device, Engine, EngineError, OpenRequest, Result, Session, SessionOptions, TensorSpec};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A graph, checked and ready to be handed to ONNX Runtime: optimised for the processor, or as it was exported for a GPU.
pub(crate) struct OrtEngine {
    pub(crate) library: &'static Library,
    pub(crate) device: Device,
    pub(crate) path: PathBuf,
    /// The folder that the places of external weights are relative to.
    pub(crate) root: PathBuf,
    pub(crate) graph: Vec<u8>,
    pub(crate) inputs: Arc<[TensorSpec]>,
    pub(crate) outputs: Arc<[TensorSpec]>,
}

impl OrtEngine {
    pub(crate) fn open(library: &'static Library, request: &OpenRequest<'_>) -> Result<Self> {
        let Some(file) = request.files.first() else {
            return Err(broken(request.root, "the engine has no files".to_owned()));
        };
        let path = file.below(request.root);
        let (mut model, graph) = read_model(&path)?;
        check_external(&mut model, &path, request.root)?;
        let (inputs, outputs) = model_specs(&model, &path)?;
        let root = absolute(request.root, &path)?;
        let device = request.device;
        Ok(Self { library, device, path, root, graph, inputs: inputs.into(), outputs: outputs.into() })
    }

    /// The folder that the places of external weights are relative to, as ONNX Runtime takes it.
    pub(crate) fn root_text(&self) -> Result<&str, ort::Error> {
        let unreadable = || ort::Error::new(format!("the path {} is not UTF-8", self.root.display()));
        self.root.to_str().ok_or_else(unreadable)
    }
}

impl Engine for OrtEngine {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>> {
        match self.device {
            Device::Cpu => Ok(Box::new(OrtSession::load(self, None, options)?)),
            Device::Cuda => {
                // The library's part is looked at first: without it no GPU helps.
                cuda::require(self.library)?;
                self.session_on(&open_cuda(0)?, options)
            }
        }
    }

    fn session_on(&self, device: &Arc<dyn ComputeDevice>, options: &SessionOptions) -> Result<Box<dyn Session>> {
        let facts = device.facts();
        match (self.device, facts.kind) {
            (Device::Cpu, DeviceKind::Host) => Ok(Box::new(OrtSession::load(self, Some(Arc::clone(device)), options)?)),
            (Device::Cuda, DeviceKind::Cuda(ordinal)) => {
                Ok(Box::new(CudaSession::load(self, device, ordinal, options)?))
            }
            (Device::Cpu, DeviceKind::Cuda(_)) | (Device::Cuda, DeviceKind::Host) => {
                Err(EngineError::NotOnDevice { device: facts.name.clone() })
            }
        }
    }
}

fn absolute(root: &Path, engine: &Path) -> Result<PathBuf> {
    std::path::absolute(root).map_err(|source| egom2p_engine_core::EngineError::Read {
        path: engine.to_owned(),
        source,
        mend: "name the bundle by its full path",
    })
}
