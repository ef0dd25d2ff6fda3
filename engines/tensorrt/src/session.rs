use crate::graphs::{Graphs, MAX_GRAPHS, Next, RunKey};
use crate::loaded::{Loaded, native};
use crate::room::Room;
use egom2p_device::{Buffer, CapturedGraph, ComputeDevice, DeviceError, Stream};
use egom2p_engine_core::{
    DType, DeviceTensor, Dims, EngineError, EngineRecord, Profile, Result, RunSession, SessionOptions, Tensor,
    TensorSpec,
};
use egom2p_tensorrt_sys::{Binding, ExecutionContext, RunBindings, SysError};
use std::sync::Arc;

/// What stands for the elements of an empty tensor: TensorRT takes no null address.
const EMPTY_BYTES: usize = ExecutionContext::ALIGNMENT;

/// Runs of an engine, one at a time. They share the memory of activations, so that a stream must have done the last run,
/// or wait for it, when another stream is given the next one. Of the options only `memory_arena` is heeded.
pub(crate) struct TrtSession {
    /// What stands for the elements of empty tensors. It is freed first: freeing memory of a GPU waits for what runs
    /// there (`cuMemFree`), and contexts must not be freed under their runs.
    empty: Buffer,
    graphs: Option<Graphs<Captured>>,
    context: ExecutionContext,
    loaded: Arc<Loaded>,
    record: EngineRecord,
    device: Arc<dyn ComputeDevice>,
    scratch: Option<Buffer>,
    /// Whether the memory of activations is the caller's.
    is_lent: bool,
    /// Aligned memory for tensors that are not, inputs before outputs.
    aligned: Vec<Option<Buffer>>,
    /// What [`RunSession::run_impl`] works with.
    host: Option<HostRuns>,
    keeps_memory: bool,
}

/// A captured run. What it was captured from must not change, so that it has a context of its own.
struct Captured {
    graph: Box<dyn CapturedGraph>,
    _context: ExecutionContext,
}

/// A stream, and memory for inputs and outputs of runs on tensors of the host.
struct HostRuns {
    stream: Arc<dyn Stream>,
    inputs: Vec<Option<Buffer>>,
    outputs: Vec<Option<Buffer>>,
}

/// Tensors of a run where TensorRT takes them, in the order of the specs.
struct Placed<'a> {
    profile: usize,
    inputs: Vec<(&'a DeviceTensor, Buffer)>,
    outputs: Vec<(&'a DeviceTensor, Buffer)>,
    scratch: Option<Buffer>,
}

impl TrtSession {
    pub(crate) fn new(
        loaded: Arc<Loaded>,
        record: EngineRecord,
        device: Arc<dyn ComputeDevice>,
        options: &SessionOptions,
    ) -> Result<Self> {
        let context = loaded.engine.context().map_err(|error| match error {
            SysError::OutOfMemory { .. } => {
                let room = Room::of(&record);
                room.error(&*device, room.weights_bytes)
            }
            error => native(&error, &*device),
        })?;
        let empty = device.allocate(EMPTY_BYTES)?;
        let n_tensors = record.inputs.len() + record.outputs.len();
        Ok(Self {
            empty,
            graphs: Some(Graphs::new(MAX_GRAPHS)),
            context,
            loaded,
            record,
            device,
            scratch: None,
            is_lent: false,
            aligned: vec![None; n_tensors],
            host: None,
            keeps_memory: options.memory_arena,
        })
    }

    /// The memory of activations: what was lent, else its own.
    fn scratch(&mut self) -> Result<Option<Buffer>> {
        let n_bytes = self.loaded.scratch_bytes();
        if self.scratch.is_none() && n_bytes > 0 {
            let scratch = usize::try_from(n_bytes).ok().map(|n_bytes| self.device.allocate(n_bytes));
            let mut room = Room::of(&self.record);
            room.run_bytes = n_bytes;
            self.scratch = Some(match scratch {
                Some(Ok(scratch)) => scratch,
                Some(Err(DeviceError::OutOfMemory { .. })) | None => {
                    return Err(room.error(&*self.device, room.weights_bytes));
                }
                Some(Err(error)) => return Err(error.into()),
            });
        }
        Ok(self.scratch.clone())
    }

    /// Where TensorRT takes the elements of tensors, the first of which has that place among inputs and outputs.
    fn place<'t>(&mut self, first: usize, tensors: &[&'t DeviceTensor]) -> Result<Vec<(&'t DeviceTensor, Buffer)>> {
        let place = |(at, tensor): (usize, &&'t DeviceTensor)| {
            let buffer = tensor.buffer();
            let placed = if buffer.n_bytes() == 0 {
                self.empty.clone()
            } else if buffer.address().is_multiple_of(ExecutionContext::ALIGNMENT) {
                buffer.clone()
            } else {
                room_in(&mut self.aligned[first + at], &*self.device, buffer.n_bytes())?
            };
            Ok((*tensor, placed))
        };
        tensors.iter().enumerate().map(place).collect()
    }

    fn launch(&mut self, stream: &dyn Stream, placed: &Placed<'_>) -> Result<()> {
        let key = placed.key(stream);
        match self.graphs.as_mut().map_or(Next::Run, |graphs| graphs.next(&key)) {
            Next::Launch(captured) => Ok(captured.graph.launch()?),
            Next::Run => self.run_plainly(stream, placed),
            Next::Capture => self.run_and_capture(stream, placed, key),
        }
    }

    fn run_plainly(&mut self, stream: &dyn Stream, placed: &Placed<'_>) -> Result<()> {
        run(&mut self.context, &self.loaded, stream, placed).map_err(|error| native(&error, &*self.device))
    }

    /// Runs in a context of its own and captures the next run of it: TensorRT puts off work to the first run after a
    /// change, which then cannot be captured.
    fn run_and_capture(&mut self, stream: &dyn Stream, placed: &Placed<'_>, key: RunKey) -> Result<()> {
        let mut context = match self.loaded.engine.context() {
            Ok(context) => context,
            Err(SysError::OutOfMemory { .. }) => {
                // There is room for the run, but not for one more graph.
                self.graphs.as_mut().map(Graphs::close);
                return self.run_plainly(stream, placed);
            }
            Err(error) => return Err(native(&error, &*self.device)),
        };
        run(&mut context, &self.loaded, stream, placed).map_err(|error| native(&error, &*self.device))?;
        let captured = capture(&mut context, stream, &*self.device);
        let unused = match (captured, &mut self.graphs) {
            (Ok(Some(graph)), Some(graphs)) => graphs.keep(key, Captured { graph, _context: context }),
            (Ok(_), _) => {
                // What cannot be captured once never can.
                stream.synchronize()?;
                self.graphs = None;
                None
            }
            (Err(error), _) => {
                stream.synchronize()?;
                return Err(error);
            }
        };
        if unused.is_some() {
            // Its last launch may not be over.
            stream.synchronize()?;
        }
        Ok(())
    }
}

impl RunSession for TrtSession {
    fn input_specs(&self) -> &[TensorSpec] {
        &self.record.inputs
    }

    fn output_specs(&self) -> &[TensorSpec] {
        &self.record.outputs
    }

    fn profiles(&self) -> &[Profile] {
        &self.record.profiles
    }

    fn run_impl(&mut self, inputs: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>> {
        let mut host = match self.host.take() {
            Some(host) => host,
            None => HostRuns {
                stream: Arc::clone(&self.device).stream()?,
                inputs: vec![None; self.record.inputs.len()],
                outputs: vec![None; self.record.outputs.len()],
            },
        };
        let outputs = self.run_on(&mut host, inputs, dims);
        if self.keeps_memory {
            self.host = Some(host);
        } else if !self.is_lent {
            self.scratch = None;
        }
        outputs
    }

    fn device_impl(&self) -> Option<&Arc<dyn ComputeDevice>> {
        Some(&self.device)
    }

    fn enqueue_impl(
        &mut self,
        stream: &dyn Stream,
        inputs: &[&DeviceTensor],
        outputs: &[&DeviceTensor],
        dims: &Dims,
    ) -> Result<()> {
        let profile = self.loaded.profiles[dims.profile(&self.record.profiles)?];
        let scratch = self.scratch()?;
        let inputs = self.place(0, inputs)?;
        let outputs = self.place(inputs.len(), outputs)?;
        let placed = Placed { profile, inputs, outputs, scratch };
        for (tensor, buffer) in &placed.inputs {
            copy(stream, buffer, tensor.buffer(), tensor)?;
        }
        self.launch(stream, &placed)?;
        for (tensor, buffer) in &placed.outputs {
            copy(stream, tensor.buffer(), buffer, tensor)?;
        }
        Ok(())
    }

    fn scratch_bytes_impl(&self) -> u64 {
        self.loaded.scratch_bytes()
    }

    fn lend_scratch_impl(&mut self, scratch: &Buffer) -> Result<()> {
        let expected = usize::try_from(self.loaded.scratch_bytes()).unwrap_or(usize::MAX);
        if scratch.n_bytes() < expected || !scratch.address().is_multiple_of(ExecutionContext::ALIGNMENT) {
            let what = "memory lent to a session";
            return Err(DeviceError::Size { what, expected, got: scratch.n_bytes() }.into());
        }
        self.scratch = Some(scratch.clone());
        self.is_lent = true;
        Ok(())
    }
}

impl TrtSession {
    fn run_on(&mut self, host: &mut HostRuns, inputs: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>> {
        let device = Arc::clone(&self.device);
        let mut given = Vec::with_capacity(inputs.len());
        for (tensor, memory) in inputs.iter().zip(&mut host.inputs) {
            let on_device = tensor_in(memory, &*device, tensor.dtype(), tensor.shape().to_vec())?;
            on_device.upload(&*host.stream, tensor)?;
            given.push(on_device);
        }
        let mut taken = Vec::with_capacity(host.outputs.len());
        for (spec, memory) in self.record.outputs.iter().zip(&mut host.outputs) {
            let unknown = || EngineError::UnknownShape { name: spec.name.clone() };
            let shape = dims.shape(spec).ok_or_else(unknown)?;
            taken.push(tensor_in(memory, &*device, spec.dtype, shape)?);
        }
        let [given, outputs] = [&given, &taken].map(|tensors| tensors.iter().collect::<Vec<_>>());
        self.enqueue_impl(&*host.stream, &given, &outputs, dims)?;
        taken.iter().map(|tensor| tensor.download(&*host.stream)).collect()
    }
}

impl Placed<'_> {
    fn key(&self, stream: &dyn Stream) -> RunKey {
        let tensors = self.inputs.iter().chain(&self.outputs);
        let addresses = tensors.map(|(_, buffer)| buffer).chain(&self.scratch).map(Buffer::address);
        RunKey {
            profile: self.profile,
            lengths: self.inputs.iter().flat_map(|(tensor, _)| tensor.shape().iter().copied()).collect(),
            addresses: addresses.collect(),
            stream: stream.handle(),
        }
    }
}

fn run(
    context: &mut ExecutionContext,
    loaded: &Loaded,
    stream: &dyn Stream,
    placed: &Placed<'_>,
) -> Result<(), SysError> {
    let places = loaded.inputs.iter().chain(&loaded.outputs);
    let tensors = placed.inputs.iter().chain(&placed.outputs);
    let bindings =
        places.zip(tensors).map(|(tensor, (given, buffer))| Binding { tensor: *tensor, shape: given.shape(), buffer });
    let bindings: Vec<Binding<'_>> = bindings.collect();
    let run = RunBindings { profile: placed.profile, tensors: &bindings, scratch: placed.scratch.as_ref() };
    context.prepare(stream, &run)?;
    context.enqueue(stream)
}

/// A graph of the next run; none where TensorRT or the device says that there can be none.
fn capture(
    context: &mut ExecutionContext,
    stream: &dyn Stream,
    device: &dyn ComputeDevice,
) -> Result<Option<Box<dyn CapturedGraph>>> {
    if !context.is_capturable(stream).map_err(|error| native(&error, device))? || !stream.begin_capture()? {
        return Ok(None);
    }
    let enqueued = context.enqueue(stream);
    // Whatever became of the run, the recording must end, or the stream is of no use any more.
    let graph = stream.end_capture();
    enqueued.map_err(|error| native(&error, device))?;
    Ok(Some(graph?))
}

/// A copy between a tensor and the place where TensorRT takes it, unless they are one.
fn copy(stream: &dyn Stream, to: &Buffer, from: &Buffer, tensor: &DeviceTensor) -> Result<()> {
    let n_bytes = tensor.buffer().n_bytes();
    if n_bytes == 0 || to.address() == from.address() {
        return Ok(());
    }
    Ok(stream.copy(&to.slice(0..n_bytes)?, &from.slice(0..n_bytes)?)?)
}

/// Memory of at least so many bytes: what is there, if it is enough.
fn room_in(memory: &mut Option<Buffer>, device: &dyn ComputeDevice, n_bytes: usize) -> Result<Buffer> {
    match memory {
        Some(buffer) if buffer.n_bytes() >= n_bytes => Ok(buffer.clone()),
        _ => Ok(memory.insert(device.allocate(n_bytes)?).clone()),
    }
}

fn tensor_in(
    memory: &mut Option<Buffer>,
    device: &dyn ComputeDevice,
    dtype: DType,
    shape: Vec<usize>,
) -> Result<DeviceTensor> {
    let element_bytes = match dtype {
        DType::F32 => 4,
        DType::I64 => 8,
        DType::Bool => 1,
    };
    let n_bytes = shape.iter().try_fold(element_bytes, |n: usize, length| n.checked_mul(*length));
    let n_bytes = n_bytes.ok_or_else(|| EngineError::TensorTooLarge { shape: shape.clone() })?;
    DeviceTensor::new(dtype, shape, &room_in(memory, device, n_bytes)?)
}
