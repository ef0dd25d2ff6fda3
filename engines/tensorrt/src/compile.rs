use crate::cache_file::CacheFile;
use crate::device::{build_device, driver_for};
use crate::fit::PresentDevice;
use crate::log::BuildLog;
use crate::memory::{Free, Need, Peak};
use crate::message::of_model;
use crate::output::Output;
use crate::ranges::input_ranges;
use crate::tensorrt::TensorRt;
use egom2p_engine_core::onnx::{check_external, model_specs, read_model, tensor_bytes, visit_tensors};
use egom2p_engine_core::{
    BuildMonitor, BuildReport, BuildRequest, CompileOptions, Digest, ENGINE_RECORD_SCHEMA, EngineError, EngineRecord,
    EngineTarget, EngineWeights, HardwareCompatibility, Result,
};
use egom2p_onnx_proto::ModelProto;
use egom2p_tensorrt_sys::{BuildProgress, BuildSettings, Driver, Library, LogSink};
use std::sync::Arc;
use std::time::Instant;

/// The highest optimisation level of TensorRT.
pub(crate) const MAX_OPTIMIZATION_LEVEL: u8 = 5;

/// Compiles an engine and writes it with its record.
pub(crate) fn build(backend: &TensorRt, request: &BuildRequest<'_>, target: EngineTarget) -> Result<BuildReport> {
    let library = backend.library()?;
    let options = CompileOptions {
        compute_capabilities: match &target {
            EngineTarget::ComputeCapabilities(capabilities) => capabilities.clone(),
            EngineTarget::Cpu | EngineTarget::Device { .. } => Vec::new(),
        },
        ..request.options.clone()
    };
    let place = place(backend, &options)?;

    let path = request.onnx.below(request.root);
    let (mut model, bytes) = read_model(&path)?;
    let files = check_external(&mut model, &path, path.parent().unwrap_or(request.root))?;
    let (inputs, outputs) = model_specs(&model, &path)?;
    let digest = Digest::from_bytes(blake3::hash(&bytes).into());
    let need = Need::of(weights_bytes(&mut model), files.values().sum());
    drop((model, bytes));
    need.check(&path, Free::now())?;
    let output = Output::create(request)?;
    let timing = timing_cache(backend, library, place.as_ref().map(|(_, device)| device))?;

    let started = Instant::now();
    let peak = Peak::start();
    let log = Arc::new(BuildLog::default());
    let sink: Arc<dyn LogSink> = log.clone();
    let driver = place.as_ref().map(|(driver, _)| driver);
    let failed = |error| of_model(&error, &path);
    check_cancelled(request.monitor)?;
    let network = library.parse(&path, driver, sink).map_err(failed)?;
    let profiles = input_ranges(network.inputs(), request.profiles).map_err(|what| EngineError::Model {
        path: path.clone(),
        what,
        mend: "name every dimension of the model in the profile: \"egom2p build --profile FILE\"".to_owned(),
    })?;
    check_cancelled(request.monitor)?;
    let settings = BuildSettings {
        profiles,
        timing_cache: timing.as_ref().map(CacheFile::read).transpose()?,
        ..settings(&options)
    };
    let built = network.build(&settings, &mut Relay { monitor: request.monitor }).map_err(failed)?;
    let build_secs = started.elapsed().as_secs_f64();
    let peak_bytes = peak.bytes();
    check_cancelled(request.monitor)?;

    let told = log.take();
    let memory = told.memory.clone();
    let files = output.write(&built.engine, |engine| EngineRecord {
        schema: ENGINE_RECORD_SCHEMA,
        engine,
        backend: backend.facts.name.to_owned(),
        library: library.version().to_string(),
        target,
        options,
        inputs,
        outputs,
        profiles: request.profiles.to_vec(),
        memory: told.memory,
        layers: told.layers,
        onnx: Some(digest),
        build_secs: Some(build_secs),
        build_peak_bytes: peak_bytes,
    })?;
    if let Some((cache, timings)) = timing.zip(built.timing_cache) {
        // The engine is complete: timings that cannot be kept cost the next build time and this one nothing.
        let _ = cache.write(&timings);
    }
    Ok(BuildReport {
        own_bytes: files.own_bytes,
        files: files.paths,
        shared_bytes: 0,
        rewritten: Vec::new(),
        memory: Some(memory),
        peak_bytes,
    })
}

/// The driver and the device, where the build takes them.
pub(crate) fn place(backend: &TensorRt, options: &CompileOptions) -> Result<Option<(Driver, PresentDevice)>> {
    if options.compute_capabilities.is_empty() {
        return build_device(backend.facts).map(Some);
    }
    if options.weights == EngineWeights::Embedded {
        return Ok(None);
    }
    let action = format!("{} cannot make weights replaceable", backend.facts.name);
    let driver = driver_for(&action, "build with embedded weights, or on a machine with an NVIDIA GPU")?;
    Ok(crate::device::present(&driver).map(|device| (driver, device)))
}

fn timing_cache(backend: &TensorRt, library: &Library, device: Option<&PresentDevice>) -> Result<Option<CacheFile>> {
    let Some(device) = device.filter(|_| library.abi().has_timing_cache()) else {
        return Ok(None);
    };
    let folder = backend.options.timing_cache.as_deref();
    CacheFile::timings(folder, backend.facts.name, &library.version().to_string(), device).map(Some)
}

fn settings(options: &CompileOptions) -> BuildSettings {
    let mut flags = Vec::new();
    let mut cleared_flags = Vec::new();
    // TensorRT allows TF32 unless it is told otherwise.
    if options.tf32 { &mut flags } else { &mut cleared_flags }.push("kTF32".to_owned());
    if options.version_compatible {
        flags.push("kVERSION_COMPATIBLE".to_owned());
    }
    match options.weights {
        EngineWeights::Embedded => {}
        EngineWeights::Refittable => flags.push("kREFIT".to_owned()),
        EngineWeights::Stripped => flags.push("kSTRIP_PLAN".to_owned()),
    }
    let capabilities = options.compute_capabilities.iter();
    BuildSettings {
        flags,
        cleared_flags,
        workspace_bytes: options.workspace_bytes,
        optimization_level: options.optimization_level,
        compute_capabilities: capabilities.map(|capability| (capability.major, capability.minor)).collect(),
        hardware_compatibility: options.hardware_compatibility.map(|compatibility| {
            let name = match compatibility {
                HardwareCompatibility::AmperePlus => "kAMPERE_PLUS",
                HardwareCompatibility::SameComputeCapability => "kSAME_COMPUTE_CAPABILITY",
            };
            name.to_owned()
        }),
        detailed_layers: true,
        ..BuildSettings::default()
    }
}

/// Bytes of all constants of a model, in the file and outside of it.
fn weights_bytes(model: &mut ModelProto) -> u64 {
    let mut n_bytes = 0_u64;
    let Ok(()) = visit_tensors(model, &mut |tensor| {
        n_bytes = n_bytes.saturating_add(tensor_bytes(tensor).unwrap_or(0));
        Ok::<(), std::convert::Infallible>(())
    });
    n_bytes
}

fn check_cancelled(monitor: &dyn BuildMonitor) -> Result<()> {
    if monitor.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
}

/// Hands the progress of TensorRT to a monitor.
struct Relay<'a> {
    monitor: &'a dyn BuildMonitor,
}

impl BuildProgress for Relay<'_> {
    fn step(&mut self, phase: &str, _: Option<&str>, step: u32, n_steps: u32) -> bool {
        self.monitor.step(phase, step, n_steps);
        !self.monitor.is_cancelled()
    }
}
