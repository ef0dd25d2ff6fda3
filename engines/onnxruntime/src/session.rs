use crate::engine::OrtEngine;
use crate::message::{NAME, one_line};
use crate::native::run_in_place;
use crate::optimise::session_builder;
use egom2p_device::{ComputeDevice, Stream};
use egom2p_engine_core::{
    Data, DataMut, DeviceTensor, Dims, EngineError, Profile, Result, RunSession, SessionOptions, Tensor, TensorSpec,
};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynValue, TensorRefMut};
use std::sync::Arc;

/// A graph with its weights, ready to run on the processor.
pub(crate) struct OrtSession {
    session: Session,
    /// The host as a device, for sessions on its tensors.
    device: Option<Arc<dyn ComputeDevice>>,
    memory: MemoryInfo<'static>,
    label: String,
    inputs: Arc<[TensorSpec]>,
    outputs: Arc<[TensorSpec]>,
    run_options: RunOptions,
}

impl OrtSession {
    pub(crate) fn load(
        engine: &OrtEngine,
        device: Option<Arc<dyn ComputeDevice>>,
        options: &SessionOptions,
    ) -> Result<Self> {
        let failed = |error: ort::Error| load_failed(engine, &error);
        let session = load(engine, options).map_err(failed)?;
        let run_options = run_options(options).map_err(failed)?;
        let place = AllocationDevice::CPU;
        let memory = MemoryInfo::new(place, 0, AllocatorType::Device, MemoryType::Default).map_err(failed)?;
        Ok(Self {
            session,
            device,
            memory,
            label: engine.path.display().to_string(),
            inputs: Arc::clone(&engine.inputs),
            outputs: Arc::clone(&engine.outputs),
            run_options,
        })
    }

    /// Runs with outputs whose shape is known written straight into their tensors, and the others read out.
    fn run_bound(&mut self, inputs: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>, RunError> {
        let mut binding = self.session.create_binding()?;
        for (spec, tensor) in self.inputs.iter().zip(inputs) {
            bind_input(&mut binding, &spec.name, tensor)?;
        }
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for spec in &*self.outputs {
            let mut known = match dims.shape(spec) {
                Some(shape) => Some(Tensor::zeros(spec.dtype, shape)?).filter(|tensor| tensor.n_elements() > 0),
                None => None,
            };
            match &mut known {
                Some(tensor) => bind_output(&mut binding, &spec.name, tensor)?,
                None => binding.bind_output_to_device(&*spec.name, &MemoryInfo::default())?,
            }
            outputs.push(known);
        }
        let mut values = self.session.run_binding_with_options(&binding, &self.run_options)?;
        let read = |(spec, known): (&TensorSpec, Option<Tensor>)| match known {
            Some(tensor) => Ok(tensor),
            None => read_output(&values.remove(&*spec.name).ok_or_else(|| RunError::Missing(spec.name.clone()))?, spec),
        };
        self.outputs.iter().zip(outputs).map(read).collect()
    }
}

impl RunSession for OrtSession {
    fn input_specs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn output_specs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn profiles(&self) -> &[Profile] {
        // ONNX Runtime adapts to every shape.
        &[]
    }

    fn run_impl(&mut self, inputs: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>> {
        self.run_bound(inputs, dims).map_err(|error| match error {
            RunError::Engine(error) => error,
            RunError::Ort(what) => run_failed(&self.label, what),
            RunError::Missing(name) => run_failed(&self.label, format!("output {name} is missing")),
        })
    }

    fn device_impl(&self) -> Option<&Arc<dyn ComputeDevice>> {
        self.device.as_ref()
    }

    fn enqueue_impl(
        &mut self,
        stream: &dyn Stream,
        inputs: &[&DeviceTensor],
        outputs: &[&DeviceTensor],
        _: &Dims,
    ) -> Result<()> {
        stream.synchronize()?;
        let (inputs, outputs) = ((&*self.inputs, inputs), (&*self.outputs, outputs));
        run_in_place(&mut self.session, &self.run_options, &self.memory, inputs, outputs)
            .map_err(|error| run_failed(&self.label, one_line(&error)))
    }
}

/// An engine that ONNX Runtime refused.
pub(crate) fn load_failed(engine: &OrtEngine, error: &ort::Error) -> EngineError {
    EngineError::Native {
        backend: NAME,
        action: format!("load {}", engine.path.display()),
        what: one_line(error),
        mend: "build the engine again with \"egom2p build --force\"",
    }
}

/// A run of an engine that failed.
pub(crate) fn run_failed(label: &str, what: String) -> EngineError {
    EngineError::Native {
        backend: NAME,
        action: format!("run {label}"),
        what,
        mend: "check the inputs and the free memory, or build the engine again with \"egom2p build --force\"",
    }
}

fn load(engine: &OrtEngine, options: &SessionOptions) -> Result<Session, ort::Error> {
    // Zero threads means one per physical core.
    let threads = options.threads.map_or(0, std::num::NonZeroUsize::get);
    let cpu = ort::ep::CPU::default().with_arena_allocator(true).build().error_on_failure();
    session_builder(engine.library)?
        .with_execution_providers([cpu])?
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .with_intra_threads(threads)?
        .with_intra_op_spinning(options.spinning)?
        .with_inter_op_spinning(options.spinning)?
        .with_prepacking(options.prepack)?
        // Patterns are kept per input shape, and the shapes change with every decoding step.
        .with_memory_pattern(false)?
        .with_config_entry("session.model_external_initializers_file_folder_path", engine.root_text()?)?
        .commit_from_memory(&engine.graph)
}

/// The arena serves every run, because it needs less memory at the peak than single allocations do; without
/// [`SessionOptions::memory_arena`] it is given back after each.
fn run_options(options: &SessionOptions) -> Result<RunOptions, ort::Error> {
    let mut run_options = RunOptions::new()?;
    if !options.memory_arena {
        run_options.set("memory.enable_memory_arena_shrinkage", "cpu:0")?;
    }
    Ok(run_options)
}

/// Why a run failed.
enum RunError {
    Engine(EngineError),
    Ort(String),
    Missing(String),
}

impl From<ort::Error> for RunError {
    fn from(error: ort::Error) -> Self {
        RunError::Ort(one_line(&error))
    }
}

impl From<EngineError> for RunError {
    fn from(error: EngineError) -> Self {
        RunError::Engine(error)
    }
}

/// Inputs are copied: a binding keeps what it is given, and ort 2.0.0-rc.15 blocks for ever when it has to copy a
/// borrowed tensor itself. Inputs are small beside the work; outputs, which can be large, are not copied.
fn bind_input(binding: &mut IoBinding, name: &str, tensor: &Tensor) -> Result<(), ort::Error> {
    let shape = tensor.shape().to_vec();
    match tensor.data() {
        Data::F32(data) => binding.bind_input(name, &ort::value::Tensor::from_array((shape, data.clone()))?),
        Data::I64(data) => binding.bind_input(name, &ort::value::Tensor::from_array((shape, data.clone()))?),
        Data::Bool(data) => binding.bind_input(name, &ort::value::Tensor::from_array((shape, data.clone()))?),
    }
}

/// The elements of the tensor must be neither moved nor freed before the run is over: the binding keeps their address.
fn bind_output(binding: &mut IoBinding, name: &str, tensor: &mut Tensor) -> Result<(), ort::Error> {
    let (shape, data) = tensor.as_mut();
    let shape = shape.to_vec();
    match data {
        DataMut::F32(data) => binding.bind_output(name, TensorRefMut::from_array_view_mut((shape, data))?),
        DataMut::I64(data) => binding.bind_output(name, TensorRefMut::from_array_view_mut((shape, data))?),
        DataMut::Bool(data) => binding.bind_output(name, TensorRefMut::from_array_view_mut((shape, data))?),
    }
}

fn read_output(value: &DynValue, spec: &TensorSpec) -> Result<Tensor, RunError> {
    use egom2p_engine_core::DType;
    let dims = |shape: &ort::value::Shape| shape.iter().map(|length| usize::try_from(*length).unwrap_or(0)).collect();
    let (shape, data): (Vec<usize>, Data) = match spec.dtype {
        DType::F32 => value.try_extract_tensor().map(|(shape, data)| (dims(shape), Data::F32(data.to_vec())))?,
        DType::I64 => value.try_extract_tensor().map(|(shape, data)| (dims(shape), Data::I64(data.to_vec())))?,
        DType::Bool => value.try_extract_tensor().map(|(shape, data)| (dims(shape), Data::Bool(data.to_vec())))?,
    };
    Ok(Tensor::new(shape, data)?)
}
