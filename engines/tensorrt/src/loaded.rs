use crate::cache_file::CacheFile;
use crate::engine::TrtEngine;
use crate::fit::PresentDevice;
use crate::log::Silent;
use crate::message::foreign;
use crate::plan;
use crate::room::Room;
use crate::tensors::{compare, summary};
use egom2p_device::{ComputeDevice, DeviceError};
use egom2p_engine_core::{EngineError, EngineRecord, Profile, Result, TensorSpec};
use egom2p_tensorrt_sys::{Abi, LoadedEngine, SysError};
use std::sync::Arc;

/// An engine whose weights are on a device, shared by the sessions there.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) engine: Arc<LoadedEngine>,
    /// The engine's profile that holds each profile of the record; the first where the record has none.
    pub(crate) profiles: Vec<usize>,
    /// Places of the inputs among the engine's tensors, in the order of the record.
    pub(crate) inputs: Vec<usize>,
    /// Places of the outputs.
    pub(crate) outputs: Vec<usize>,
    kernels: Option<Kernels>,
}

/// Kernels that are kept between processes, and what they were when this one began.
#[derive(Debug)]
struct Kernels {
    file: CacheFile,
    found: Vec<u8>,
}

impl Loaded {
    /// Loads an engine onto a device that it has been checked to fit.
    pub(crate) fn load(
        of: &TrtEngine,
        ordinal: usize,
        device: &dyn ComputeDevice,
        present: &PresentDevice,
    ) -> Result<Self> {
        plan::check(&of.path, &of.record.backend, Some(of.record.engine.bytes))?;
        let room = Room::of(&of.record);
        room.check_weights(device)?;
        let bytes = std::fs::read(&of.path).map_err(|source| EngineError::Read {
            path: of.path.clone(),
            source,
            mend: "build the engine again with \"egom2p build --force\"",
        })?;
        let kernels = (of.library.abi() == Abi::Rtx).then(|| Kernels::open(of, present)).flatten();
        let found = kernels.as_ref().map_or(&[][..], |kernels| &kernels.found);
        let loaded = of.library.load_engine(&of.driver, ordinal, &bytes, found, Arc::new(Silent));
        let engine = loaded.map_err(|error| match error {
            SysError::OutOfMemory { .. } => room.error(device, 0),
            error => native(&error, device),
        })?;
        let description = engine.description();
        let record = &of.record;
        let present = compare(&description.tensors, &description.profiles, &record.inputs, &record.outputs)
            .map_err(|lines| of.wrong(format!("the engine is another one: {}", summary(&lines))))?;
        let profiles = places(record, &present).ok_or_else(|| of.wrong("the engine has other profiles".to_owned()))?;
        let place = |spec: &TensorSpec| description.tensors.iter().position(|tensor| tensor.name == spec.name);
        let all = |specs: &[TensorSpec]| specs.iter().map(place).collect::<Option<Vec<_>>>();
        let tensors = all(&record.inputs).zip(all(&record.outputs));
        let (inputs, outputs) = tensors.ok_or_else(|| of.wrong("the engine has other tensors".to_owned()))?;
        Ok(Self { engine, profiles, inputs, outputs, kernels })
    }

    /// Bytes of device memory that a run of any profile of the record needs.
    pub(crate) fn scratch_bytes(&self) -> u64 {
        let profiles = &self.engine.description().profiles;
        self.profiles.iter().filter_map(|place| Some(profiles.get(*place)?.device_memory_bytes)).max().unwrap_or(0)
    }
}

impl Kernels {
    /// The file of an engine and what it holds; none without a folder for it: kernels are compiled again then.
    fn open(of: &TrtEngine, present: &PresentDevice) -> Option<Self> {
        let version = of.library.version().to_string();
        let digest = of.record.engine.blake3;
        let file = CacheFile::kernels(of.caches.as_deref(), &of.record.backend, &version, present, digest).ok()?;
        let found = file.read().unwrap_or_default();
        Some(Self { file, found })
    }
}

impl Drop for Loaded {
    /// Keeps the kernels that were compiled meanwhile. Without them the next process compiles them again, so that nothing
    /// is said where they cannot be kept.
    fn drop(&mut self) {
        let Some(kernels) = &self.kernels else { return };
        if let Ok(Some(bytes)) = self.engine.kernels()
            && *bytes != *kernels.found
        {
            let _ = kernels.file.write(&bytes);
        }
    }
}

/// An error of a call on a device: if the device was lost, that is what is said.
pub(crate) fn native(error: &SysError, device: &dyn ComputeDevice) -> EngineError {
    match device.memory() {
        Err(lost @ DeviceError::Lost { .. }) => lost.into(),
        _ => foreign(error),
    }
}

/// For each profile of a record the engine's that holds it: the one of the same place where that does.
fn places(record: &EngineRecord, engine: &[Profile]) -> Option<Vec<usize>> {
    if record.profiles.is_empty() {
        return Some(vec![0]);
    }
    let place = |(at, profile): (usize, &Profile)| {
        let holds = |engine: &Profile| covers(engine, profile);
        if engine.get(at).is_some_and(holds) { Some(at) } else { engine.iter().position(holds) }
    };
    record.profiles.iter().enumerate().map(place).collect()
}

/// Whether the ranges of an engine hold those of its record. An engine has ranges for dimensions of its inputs only.
fn covers(engine: &Profile, record: &Profile) -> bool {
    engine.dims.iter().all(|(dim, range)| {
        record.dims.get(dim).is_none_or(|recorded| range.min <= recorded.min && recorded.max <= range.max)
    })
}
