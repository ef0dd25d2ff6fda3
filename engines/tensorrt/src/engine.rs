use crate::device::all_present;
use crate::family::FamilyFacts;
use crate::fit::{self, Present, PresentDevice};
use crate::loaded::Loaded;
use crate::log::Silent;
use crate::message::foreign;
use crate::plan;
use crate::session::TrtSession;
use crate::tensorrt::TensorRt;
use egom2p_device::{ComputeDevice, CudaDevice, DeviceKind};
use egom2p_engine_core::onnx::broken;
use egom2p_engine_core::{
    ComputeCapability, Engine, EngineError, EngineRecord, OpenRequest, Result, Session, SessionOptions, TensorSpec,
};
use egom2p_tensorrt_sys::{Driver, EngineDescription, Library};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A compiled engine that fits a device of this machine by its record. Its sessions on one device share its weights,
/// which are loaded for the first of them and freed with the last.
#[derive(Debug)]
pub(crate) struct TrtEngine {
    facts: &'static FamilyFacts,
    pub(crate) library: &'static Library,
    pub(crate) driver: Driver,
    pub(crate) record: EngineRecord,
    pub(crate) path: PathBuf,
    /// Folder for caches; none for the user's.
    pub(crate) caches: Option<PathBuf>,
    /// What is loaded, by the ordinals of devices.
    loaded: Mutex<Vec<(usize, Weak<Loaded>)>>,
}

impl TrtEngine {
    pub(crate) fn open(backend: &TensorRt, request: &OpenRequest<'_>) -> Result<Self> {
        let Some(file) = request.files.first() else {
            return Err(broken(request.root, "the engine has no files".to_owned()));
        };
        let path = file.below(request.root);
        let record = EngineRecord::read(&EngineRecord::path(&path))?;
        plan::check(&path, &record.backend, Some(record.engine.bytes))?;
        let library = backend.library()?;
        let driver = check_fit(backend.facts, library, &record)?;
        let caches = backend.options.timing_cache.clone();
        Ok(Self { facts: backend.facts, library, driver, record, path, caches, loaded: Mutex::default() })
    }

    /// An engine that does not fit its record.
    pub(crate) fn wrong(&self, what: String) -> EngineError {
        let mend = "build the engine again with \"egom2p build --force\"";
        EngineError::Manifest { path: EngineRecord::path(&self.path), what, mend }
    }

    fn load(&self, ordinal: usize, device: &dyn ComputeDevice) -> Result<Arc<Loaded>> {
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, loaded)| loaded.strong_count() > 0);
        if let Some(loaded) = all.iter().find(|(of, _)| *of == ordinal).and_then(|(_, loaded)| loaded.upgrade()) {
            return Ok(loaded);
        }
        let facts = device.facts();
        let (major, minor) = facts.compute_capability.unwrap_or_default();
        let present =
            PresentDevice { name: facts.name.clone(), compute_capability: ComputeCapability { major, minor } };
        let here = Present {
            backend: self.facts.name,
            library: self.library.version().to_string(),
            device: Some(present.clone()),
        };
        fit::check(&self.record, &here)?;
        let loaded = Arc::new(Loaded::load(self, ordinal, device, &present)?);
        all.push((ordinal, Arc::downgrade(&loaded)));
        Ok(loaded)
    }
}

impl Engine for TrtEngine {
    fn inputs(&self) -> &[TensorSpec] {
        &self.record.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.record.outputs
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>> {
        self.session_on(&CudaDevice::shared(0)?, options)
    }

    fn session_on(&self, device: &Arc<dyn ComputeDevice>, options: &SessionOptions) -> Result<Box<dyn Session>> {
        let DeviceKind::Cuda(ordinal) = device.facts().kind else {
            return Err(EngineError::NotOnDevice { device: device.facts().name.clone() });
        };
        let loaded = self.load(ordinal, &**device)?;
        Ok(Box::new(TrtSession::new(loaded, self.record.clone(), Arc::clone(device), options)?))
    }
}

/// What an engine says about itself, with a driver that it has been checked to fit.
pub(crate) fn describe(library: &'static Library, driver: &Driver, path: &Path) -> Result<EngineDescription> {
    let bytes = std::fs::read(path).map_err(|source| EngineError::Read {
        path: path.to_owned(),
        source,
        mend: "build the engine again with \"egom2p build --force\"",
    })?;
    let loaded = library.load_engine(driver, 0, &bytes, &[], Arc::new(Silent));
    loaded.map(|engine| engine.description().clone()).map_err(|error| foreign(&error))
}

/// Checks by its record that an engine runs on a device of this machine, and gives the driver that runs it.
fn check_fit(facts: &FamilyFacts, library: &Library, record: &EngineRecord) -> Result<Driver> {
    let driver = Driver::open();
    let present = |device| Present { backend: facts.name, library: library.version().to_string(), device };
    let devices = driver.as_ref().map_or_else(|_| Vec::new(), all_present);
    if !devices.iter().any(|device| fit::check(record, &present(Some(device.clone()))).is_ok()) {
        fit::check(record, &present(devices.into_iter().next()))?;
    }
    driver.map_err(|error| foreign(&error))
}
