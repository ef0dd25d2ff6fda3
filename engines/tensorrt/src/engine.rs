use crate::device::present;
use crate::fit::{self, Present};
use crate::log::BuildLog;
use crate::message::foreign;
use crate::plan;
use crate::tensorrt::TensorRt;
use crate::tensors::{compare, summary};
use egom2p_engine_core::onnx::broken;
use egom2p_engine_core::{Engine, EngineError, EngineRecord, OpenRequest, Result, Session, SessionOptions, TensorSpec};
use egom2p_tensorrt_sys::{Driver, Library};
use std::path::Path;
use std::sync::Arc;

/// A compiled engine that fits this machine.
#[derive(Debug)]
pub(crate) struct TrtEngine {
    backend: &'static str,
    record: EngineRecord,
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
        let driver = check_fit(backend, library, &record)?;
        let description = describe(library, &driver, &path)?;
        let wrong = |what: String| EngineError::Manifest {
            path: EngineRecord::path(&path),
            what,
            mend: "build the engine again with \"egom2p build --force\"",
        };
        let profiles = compare(&description.tensors, &description.profiles, &record.inputs, &record.outputs)
            .map_err(|lines| wrong(format!("the engine is another one: {}", summary(&lines))))?;
        let uncovered = record.profiles.iter().any(|profile| !profiles.iter().any(|present| covers(present, profile)));
        if uncovered {
            return Err(wrong("the engine has other profiles".to_owned()));
        }
        Ok(Self { backend: backend.facts.name, record })
    }
}

impl Engine for TrtEngine {
    fn inputs(&self) -> &[TensorSpec] {
        &self.record.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.record.outputs
    }

    fn session(&self, _: &SessionOptions) -> Result<Box<dyn Session>> {
        Err(EngineError::Backend {
            what: format!("running engines of {} is not in this version", self.backend),
            mend: "run the bundle with --backend onnxruntime, or use the engine file with NVIDIA's own runtime"
                .to_owned(),
        })
    }
}

/// What an engine says about itself, with a driver that it has been checked to fit.
pub(crate) fn describe(
    library: &'static Library,
    driver: &Driver,
    path: &Path,
) -> Result<egom2p_tensorrt_sys::EngineDescription> {
    let bytes = std::fs::read(path).map_err(|source| EngineError::Read {
        path: path.to_owned(),
        source,
        mend: "build the engine again with \"egom2p build --force\"",
    })?;
    library.describe_engine(driver, &bytes, Arc::new(BuildLog::default())).map_err(|error| foreign(&error))
}

/// Checks that an engine runs here by its record, and gives the driver that runs it.
fn check_fit(backend: &TensorRt, library: &Library, record: &EngineRecord) -> Result<Driver> {
    let driver = Driver::open();
    let device = driver.as_ref().ok().and_then(present);
    fit::check(record, &Present { backend: backend.facts.name, library: library.version().to_string(), device })?;
    driver.map_err(|error| foreign(&error))
}

/// Whether the ranges of an engine hold those of its record. An engine has ranges for dimensions of its inputs only.
fn covers(engine: &egom2p_engine_core::Profile, record: &egom2p_engine_core::Profile) -> bool {
    engine.dims.iter().all(|(dim, range)| {
        record.dims.get(dim).is_none_or(|recorded| range.min <= recorded.min && recorded.max <= range.max)
    })
}
