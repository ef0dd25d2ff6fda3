use crate::cuda;
use crate::engine::OrtEngine;
use crate::message::{NAME, one_line};
use crate::native::{inputs_on_processor, placement, run_in_place};
use crate::session::{load_failed, run_failed};
use egom2p_device::{ComputeDevice, Stream};
use egom2p_engine_core::{
    DeviceTensor, Dims, EngineError, Profile, Result, RunSession, SessionOptions, Tensor, TensorSpec,
};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session};
use std::sync::Arc;

/// A graph with its weights on a GPU.
///
/// ONNX Runtime binds a session to one stream, which is the session's own: a run waits for the caller's stream, and the
/// caller's stream for the run.
pub(crate) struct CudaSession {
    /// Is dropped before the stream that it runs on.
    session: Session,
    stream: Arc<dyn Stream>,
    device: Arc<dyn ComputeDevice>,
    memory: MemoryInfo<'static>,
    label: String,
    inputs: Arc<[TensorSpec]>,
    outputs: Arc<[TensorSpec]>,
    run_options: RunOptions,
}

impl CudaSession {
    /// Loads an engine onto the GPU of this ordinal.
    pub(crate) fn load(
        engine: &OrtEngine,
        device: &Arc<dyn ComputeDevice>,
        ordinal: usize,
        options: &SessionOptions,
    ) -> Result<Self> {
        cuda::require(engine.library)?;
        let failed = |error: ort::Error| load_failed(engine, &error);
        let stream = Arc::clone(device).stream()?;
        let session = load(engine, ordinal, &*stream, options)?;
        let place = AllocationDevice::CUDA;
        let id = i32::try_from(ordinal).unwrap_or(i32::MAX);
        let memory = MemoryInfo::new(place, id, AllocatorType::Device, MemoryType::Default).map_err(failed)?;
        let run_options = run_options(ordinal, options).map_err(failed)?;
        Ok(Self::new(engine, (session, run_options), (Arc::clone(device), stream), memory))
    }

    fn new(
        engine: &OrtEngine,
        (session, run_options): (Session, RunOptions),
        (device, stream): (Arc<dyn ComputeDevice>, Arc<dyn Stream>),
        memory: MemoryInfo<'static>,
    ) -> Self {
        Self {
            session,
            stream,
            device,
            memory,
            label: engine.path.display().to_string(),
            inputs: Arc::clone(&engine.inputs),
            outputs: Arc::clone(&engine.outputs),
            run_options,
        }
    }

    /// Enqueues a run on the session's own stream.
    fn enqueue_here(&mut self, inputs: &[&DeviceTensor], outputs: &[&DeviceTensor]) -> Result<()> {
        let (inputs, outputs) = ((&*self.inputs, inputs), (&*self.outputs, outputs));
        let ran = run_in_place(&mut self.session, &self.run_options, &self.memory, inputs, outputs);
        ran.map_err(|error| {
            // What was enqueued before the failure uses tensors that the caller may free now.
            let _ = self.stream.synchronize();
            run_failed(&self.label, one_line(&error))
        })
    }
}

impl RunSession for CudaSession {
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
        let stream = Arc::clone(&self.stream);
        let allocate = |spec: &TensorSpec, shape| DeviceTensor::allocate(&*self.device, spec.dtype, shape);
        let mut given = Vec::with_capacity(inputs.len());
        for (spec, tensor) in self.inputs.iter().zip(inputs) {
            let on_device = allocate(spec, tensor.shape().to_vec())?;
            on_device.upload(&*stream, tensor)?;
            given.push(on_device);
        }
        let mut made = Vec::with_capacity(self.outputs.len());
        for spec in &*self.outputs {
            let unknown = || EngineError::UnknownShape { name: spec.name.clone() };
            made.push(allocate(spec, dims.shape(spec).ok_or_else(unknown)?)?);
        }
        let (inputs, outputs): (Vec<_>, Vec<_>) = (given.iter().collect(), made.iter().collect());
        self.enqueue_here(&inputs, &outputs)?;
        made.iter().map(|tensor| tensor.download(&*stream)).collect()
    }

    fn device_impl(&self) -> Option<&Arc<dyn ComputeDevice>> {
        Some(&self.device)
    }

    fn enqueue_impl(
        &mut self,
        stream: &dyn Stream,
        inputs: &[&DeviceTensor],
        outputs: &[&DeviceTensor],
        _: &Dims,
    ) -> Result<()> {
        self.stream.wait_for(stream)?;
        self.enqueue_here(inputs, outputs)?;
        stream.wait_for(&*self.stream)?;
        Ok(())
    }
}

impl Drop for CudaSession {
    fn drop(&mut self) {
        // The session's memory is freed with it, and runs that were enqueued still use it.
        let _ = self.stream.synchronize();
    }
}

fn load(engine: &OrtEngine, ordinal: usize, stream: &dyn Stream, options: &SessionOptions) -> Result<Session> {
    let failed = |error: ort::Error| load_failed(engine, &error);
    let builder = builder(engine, options).map_err(failed)?;
    let mut builder = builder
        .with_execution_providers(cuda::providers(ordinal, stream))
        .map_err(|error| cuda::unusable(&error.into()))?;
    let session = builder.commit_from_memory(&engine.graph).map_err(failed)?;
    let refused = |what: String| EngineError::Native {
        backend: NAME,
        action: format!("run {} on cuda", engine.path.display()),
        what,
        mend: "export the stage with another --precision, or choose another --backend",
    };
    let nodes = placement(&session).map_err(failed)?;
    let misplaced: Vec<&str> = cuda::misplaced(&nodes).into_iter().collect();
    if !misplaced.is_empty() {
        return Err(refused(format!("it has no kernels there for {}", misplaced.join(", "))));
    }
    // Inputs of a session stand in the order of its graph, as the specs do.
    let moved = inputs_on_processor(&session, engine.inputs.len()).map_err(failed)?;
    if let Some(&input) = moved.first() {
        return Err(refused(format!(
            "it takes the input {} in the memory of the processor",
            engine.inputs[input].name
        )));
    }
    Ok(session)
}

/// Everything but the providers. The graph is optimised here, because fusions depend on where nodes run.
fn builder(engine: &OrtEngine, options: &SessionOptions) -> Result<ort::session::builder::SessionBuilder, ort::Error> {
    let threads = options.threads.map_or(0, std::num::NonZeroUsize::get);
    Ok(Session::builder(&engine.library.environment)?
        .with_no_environment_execution_providers()?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_intra_op_spinning(options.spinning)?
        .with_inter_op_spinning(options.spinning)?
        .with_prepacking(options.prepack)?
        .with_memory_pattern(false)?
        // Weights beside the arena, so that it has the size of activations alone.
        .with_device_allocated_initializers()?
        .with_config_entry(cuda::RECORD_PLACEMENT, "1")?
        .with_config_entry("session.model_external_initializers_file_folder_path", engine.root_text()?)?)
}

/// A run returns when its work is enqueued.
fn run_options(ordinal: usize, options: &SessionOptions) -> Result<RunOptions, ort::Error> {
    let mut run_options = RunOptions::new()?;
    run_options.set("disable_synchronize_execution_providers", "1")?;
    if !options.memory_arena {
        run_options.set("memory.enable_memory_arena_shrinkage", format!("gpu:{ordinal}"))?;
    }
    Ok(run_options)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::CudaSession;
    use crate::engine::OrtEngine;
    use crate::library::Library;
    use crate::optimise::session_builder;
    use crate::test_model::tanh;
    use egom2p_device::{Buffer, CapturedGraph, ComputeDevice, DeviceError, HostDevice, Kernel, Stream};
    use egom2p_engine_core::{Axis, DType, Device, DeviceTensor, EngineError, Session, Tensor, TensorSpec};
    use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
    use ort::session::RunOptions;
    use std::sync::{Arc, Mutex};

    type Calls = Arc<Mutex<Vec<String>>>;

    /// A stream of the host that notes who waits for whom.
    struct NotingStream {
        name: &'static str,
        handle: usize,
        host: Arc<dyn Stream>,
        calls: Calls,
    }

    impl NotingStream {
        fn note(&self, what: &str) {
            self.calls.lock().unwrap().push(format!("{} {what}", self.name));
        }
    }

    impl Stream for NotingStream {
        fn device(&self) -> &Arc<dyn ComputeDevice> {
            self.host.device()
        }

        fn handle(&self) -> usize {
            self.handle
        }

        fn write(&self, to: &Buffer, fill: &mut dyn FnMut(&mut [u8])) -> Result<(), DeviceError> {
            self.note("writes");
            self.host.write(to, fill)
        }

        fn read(&self, from: &Buffer, take: &mut dyn FnMut(&[u8])) -> Result<(), DeviceError> {
            self.note("reads");
            self.host.read(from, take)
        }

        fn copy(&self, to: &Buffer, from: &Buffer) -> Result<(), DeviceError> {
            self.host.copy(to, from)
        }

        fn launch(&self, kernel: &Kernel<'_>) -> Result<(), DeviceError> {
            self.host.launch(kernel)
        }

        fn synchronize(&self) -> Result<(), DeviceError> {
            self.note("synchronizes");
            self.host.synchronize()
        }

        fn wait_for(&self, other: &dyn Stream) -> Result<(), DeviceError> {
            self.note(&format!("waits for stream {}", other.handle()));
            Ok(())
        }

        fn begin_capture(&self) -> Result<bool, DeviceError> {
            self.host.begin_capture()
        }

        fn end_capture(&self) -> Result<Box<dyn CapturedGraph>, DeviceError> {
            self.host.end_capture()
        }
    }

    /// A session whose provider is the processor's, and everything else that of a GPU.
    fn session(library: &'static Library, device: &Arc<dyn ComputeDevice>, stream: Arc<dyn Stream>) -> CudaSession {
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: vec![Axis::Named("batch".to_owned()), Axis::Fixed(3)],
        };
        let engine = OrtEngine {
            library,
            device: Device::Cuda,
            path: "tanh.onnx".into(),
            root: "/".into(),
            graph: tanh(),
            inputs: [spec("x")].into(),
            outputs: [spec("y")].into(),
        };
        let session = session_builder(library).unwrap().commit_from_memory(&engine.graph).unwrap();
        let memory = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default).unwrap();
        CudaSession::new(&engine, (session, RunOptions::new().unwrap()), (Arc::clone(device), stream), memory)
    }

    #[test]
    fn runs_stand_between_what_the_caller_enqueued_before_and_after() {
        let Ok(library) = Library::open(None) else { return };
        let device: Arc<dyn ComputeDevice> = HostDevice::new(1 << 20);
        let calls = Calls::default();
        let stream = |name, handle| {
            let host = Arc::clone(&device).stream().unwrap();
            Arc::new(NotingStream { name, handle, host, calls: Arc::clone(&calls) })
        };
        let take = || std::mem::take(&mut *calls.lock().unwrap());
        let caller = stream("caller", 1);
        let mut session = session(library, &device, stream("session", 2));
        for batch in [2, 0, 1] {
            let data: Vec<f32> = (0..batch * 3).map(|at| at as f32 / 4.0).collect();
            let x = Tensor::f32([batch, 3], data.clone()).unwrap();
            let (given, made) = (
                DeviceTensor::allocate(&*device, DType::F32, [batch, 3]).unwrap(),
                DeviceTensor::allocate(&*device, DType::F32, [batch, 3]).unwrap(),
            );
            given.upload(&*caller, &x).unwrap();
            take();
            session.enqueue(&*caller, &[("x", &given)], &[("y", &made)]).unwrap();
            assert_eq!(take(), ["session waits for stream 1", "caller waits for stream 2"]);
            let enqueued = made.download(&*caller).unwrap();
            let off = enqueued.as_f32().unwrap().iter().zip(&data).map(|(y, x)| (y - x.tanh()).abs());
            assert!(off.fold(0.0, f32::max) < 1e-6, "{enqueued:?}");
            take();
            let outputs = session.run(&[("x", &x)]).unwrap();
            assert_eq!(take(), ["session writes", "session reads"]);
            assert_eq!(outputs, [("y".to_owned(), enqueued)]);
        }
        let aligned = device.allocate(64).unwrap();
        let odd = DeviceTensor::new(DType::F32, [1, 3], &aligned.slice(2..62).unwrap()).unwrap();
        let error = session.enqueue(&*caller, &[("x", &odd)], &[("y", &odd)]).unwrap_err();
        assert!(matches!(error, EngineError::Native { .. }), "{error}");
        assert_eq!(
            take(),
            ["session waits for stream 1", "session synchronizes"],
            "a failed run leaves nothing behind"
        );
        drop(session);
        assert_eq!(take(), ["session synchronizes"]);
    }
}
