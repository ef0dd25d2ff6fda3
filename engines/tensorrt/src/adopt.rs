use crate::device::{driver_for, present};
use crate::engine::describe;
use crate::family::RTX;
use crate::output::Output;
use crate::plan;
use crate::tensorrt::TensorRt;
use crate::tensors::{compare, summary};
use egom2p_engine_core::onnx::{check_external, model_specs, read_model};
use egom2p_engine_core::{
    AdoptRequest, BuildReport, CompileOptions, Digest, ENGINE_RECORD_SCHEMA, EngineError, EngineMemory, EngineRecord,
    EngineTarget, EngineWeights, FileEntry, HardwareCompatibility, Result, TensorSpec,
};
use egom2p_tensorrt_sys::EngineDescription;
use std::path::Path;

/// Takes an engine that was built elsewhere into a bundle, in place of building it.
pub(crate) fn take(backend: &TensorRt, request: &AdoptRequest<'_>) -> Result<BuildReport> {
    let path = request.build.onnx.below(request.build.root);
    let (mut model, _) = read_model(&path)?;
    check_external(&mut model, &path, path.parent().unwrap_or(request.build.root))?;
    let (inputs, outputs) = model_specs(&model, &path)?;
    let record = backend.adopt(request.engine, &inputs, &outputs)?;
    let output = Output::create(&request.build)?;
    let bytes = std::fs::read(request.engine).map_err(|source| unreadable(request.engine, source))?;
    let memory = record.memory.clone();
    let files = output.write(&bytes, |engine| EngineRecord { engine, ..record })?;
    Ok(BuildReport {
        own_bytes: files.own_bytes,
        files: files.paths,
        shared_bytes: 0,
        rewritten: Vec::new(),
        memory: Some(memory),
        peak_bytes: None,
    })
}

impl TensorRt {
    /// Makes the record of an engine that was built elsewhere, such as by `trtexec`, if its tensors are the given ones.
    /// The engine is described by the library, which takes a device that it fits.
    pub fn adopt(&self, engine: &Path, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<EngineRecord> {
        adopt(self, engine, inputs, outputs)
    }
}

fn adopt(backend: &TensorRt, engine: &Path, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<EngineRecord> {
    let name = backend.facts.name;
    plan::check(engine, name, None)?;
    let library = backend.library()?;
    let version = library.version().to_string();
    let written_by = plan::rtx_version(engine).filter(|written_by| name == RTX.name && *written_by != version);
    if let Some(written_by) = written_by {
        return Err(EngineError::WrongTarget {
            built: format!("{name} {written_by}"),
            found: format!("{name} {version}"),
            mend: "build it with the library that is here".to_owned(),
        });
    }
    let driver = driver_for(
        "an engine that was built elsewhere tells its tensors to its library only, on a device",
        "use a machine with an NVIDIA GPU that the engine was built for, or build the engine with \"egom2p build\"",
    )?;
    let device = present(&driver).ok_or_else(|| EngineError::Backend {
        what: "there is no device to describe the engine on".to_owned(),
        mend: "use a machine with an NVIDIA GPU that the engine was built for".to_owned(),
    })?;
    let description = describe(library, &driver, engine)?;
    let profiles =
        compare(&description.tensors, &description.profiles, inputs, outputs).map_err(|wrong| EngineError::Model {
            path: engine.to_owned(),
            what: format!("the engine does not fit the stage: {}", summary(&wrong)),
            mend: "build it from the stage's exported ONNX file, with its names, types and shapes".to_owned(),
        })?;
    Ok(EngineRecord {
        schema: ENGINE_RECORD_SCHEMA,
        engine: file_entry(engine)?,
        backend: name.to_owned(),
        library: version,
        target: EngineTarget::Device { name: device.name, compute_capability: device.compute_capability },
        options: options(&description),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        profiles,
        memory: EngineMemory {
            weights_bytes: None,
            activation_bytes: description.profiles.iter().map(|profile| profile.device_memory_bytes).max(),
        },
        layers: Vec::new(),
        onnx: None,
        build_secs: None,
        build_peak_bytes: None,
    })
}

/// What an engine tells about how it was built; the rest is unknown and stands at its default.
fn options(description: &EngineDescription) -> CompileOptions {
    CompileOptions {
        hardware_compatibility: match &*description.hardware_compatibility {
            "kAMPERE_PLUS" => Some(HardwareCompatibility::AmperePlus),
            "kSAME_COMPUTE_CAPABILITY" => Some(HardwareCompatibility::SameComputeCapability),
            _ => None,
        },
        weights: if description.is_refittable { EngineWeights::Refittable } else { EngineWeights::Embedded },
        ..CompileOptions::default()
    }
}

fn file_entry(path: &Path) -> Result<FileEntry> {
    let read = |source| unreadable(path, source);
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path).map_err(read)?).map_err(read)?;
    Ok(FileEntry { bytes: hasher.count(), blake3: Digest::from_bytes(hasher.finalize().into()) })
}

fn unreadable(path: &Path, source: std::io::Error) -> EngineError {
    EngineError::Read { path: path.to_owned(), source, mend: "name the engine's file" }
}
