use crate::{DType, DeviceTensor, Dims, EngineError, Profile, Result, Tensor, TensorSpec};
use egom2p_device::{Buffer, ComputeDevice, Stream};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A stage ready to run, with its weights in memory.
pub trait Session: Send {
    /// What it takes.
    fn inputs(&self) -> &[TensorSpec];

    /// What it gives.
    fn outputs(&self) -> &[TensorSpec];

    /// Runs the stage. Every input must be given exactly once, in any order, with the element type and the shape of
    /// its spec; axes of one name must be equally long. Gives every output, in the order of [`Session::outputs`].
    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>>;

    /// The device whose tensors [`Session::enqueue`] takes; `None` for a session that only runs on tensors of the host.
    fn device(&self) -> Option<&Arc<dyn ComputeDevice>>;

    /// Enqueues a run on a stream of the session's device. Inputs as for [`Session::run`]; every output is given once,
    /// in any order, with the shape that follows from the inputs, and is written when the stream gets there. Inputs and
    /// outputs must live until then.
    fn enqueue(
        &mut self,
        stream: &dyn Stream,
        inputs: &[(&str, &DeviceTensor)],
        outputs: &[(&str, &DeviceTensor)],
    ) -> Result<()>;

    /// Bytes of device memory that a run may need beside weights, inputs and outputs, if they are lent
    /// ([`Session::lend_scratch`]); 0 where the session keeps memory of its own.
    fn scratch_bytes(&self) -> u64;

    /// Lends the session memory for its runs, at least [`Session::scratch_bytes`]. Sessions whose runs do not overlap
    /// may be lent the same. Without it a session takes its own at its first run.
    fn lend_scratch(&mut self, scratch: &Buffer) -> Result<()>;
}

/// What a backend implements. Every `RunSession` is a [`Session`]: the checks stand there, once for all backends.
pub trait RunSession: Send {
    /// What it takes.
    fn input_specs(&self) -> &[TensorSpec];

    /// What it gives.
    fn output_specs(&self) -> &[TensorSpec];

    /// Ranges of which a call must fit one; empty if there are none.
    fn profiles(&self) -> &[Profile];

    /// Runs with checked inputs, in the order of [`RunSession::input_specs`], and gives the outputs in the order of
    /// [`RunSession::output_specs`]. `dims` holds the length of every named dimension of the inputs.
    fn run_impl(&mut self, inputs: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>>;

    /// The device whose tensors [`RunSession::enqueue_impl`] takes.
    fn device_impl(&self) -> Option<&Arc<dyn ComputeDevice>> {
        None
    }

    /// Enqueues a run with checked inputs and outputs, in the order of the specs. Is called only where there is a device.
    fn enqueue_impl(
        &mut self,
        stream: &dyn Stream,
        inputs: &[&DeviceTensor],
        outputs: &[&DeviceTensor],
        dims: &Dims,
    ) -> Result<()> {
        let _ = (inputs, outputs, dims);
        Err(EngineError::NotOnDevice { device: stream.device().facts().name.clone() })
    }

    /// See [`Session::scratch_bytes`].
    fn scratch_bytes_impl(&self) -> u64 {
        0
    }

    /// See [`Session::lend_scratch`].
    fn lend_scratch_impl(&mut self, scratch: &Buffer) -> Result<()> {
        let _ = scratch;
        Ok(())
    }
}

/// How a session runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionOptions {
    /// Threads that work on one operation; `None` for one per physical core.
    pub threads: Option<NonZeroUsize>,
    /// Whether threads wait busily between operations: a little faster on an idle machine, much slower on a shared one.
    pub spinning: bool,
    /// Whether the memory of a run is kept for the next. Without it, sessions that take turns share one peak, and each
    /// run pays for its memory again.
    pub memory_arena: bool,
    /// Whether weights are rearranged for faster products when the session is made. It costs time at the start and a
    /// private copy of the weights; without it, sessions read the pages of the weights file, which they share.
    pub prepack: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { threads: None, spinning: false, memory_arena: true, prepack: false }
    }
}

impl<T: RunSession> Session for T {
    fn inputs(&self) -> &[TensorSpec] {
        self.input_specs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.output_specs()
    }

    fn run(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>> {
        let mut dims = Dims::default();
        let inputs = arrange(self.input_specs(), inputs, &mut dims)?;
        dims.profile(self.profiles())?;
        let outputs = self.run_impl(&inputs, &dims)?;
        let specs = self.output_specs();
        if outputs.len() != specs.len() {
            return Err(EngineError::OutputCount { expected: specs.len(), got: outputs.len() });
        }
        for (spec, output) in specs.iter().zip(&outputs) {
            check(spec, output, &mut dims)?;
        }
        Ok(specs.iter().map(|spec| spec.name.clone()).zip(outputs).collect())
    }

    fn device(&self) -> Option<&Arc<dyn ComputeDevice>> {
        self.device_impl()
    }

    fn enqueue(
        &mut self,
        stream: &dyn Stream,
        inputs: &[(&str, &DeviceTensor)],
        outputs: &[(&str, &DeviceTensor)],
    ) -> Result<()> {
        let kind = stream.device().facts().kind;
        if self.device_impl().is_none_or(|device| device.facts().kind != kind) {
            return Err(EngineError::NotOnDevice { device: stream.device().facts().name.clone() });
        }
        let mut dims = Dims::default();
        let inputs = arrange(self.input_specs(), inputs, &mut dims)?;
        dims.profile(self.profiles())?;
        if let Some(spec) = self.output_specs().iter().find(|spec| dims.shape(spec).is_none()) {
            return Err(EngineError::UnknownShape { name: spec.name.clone() });
        }
        let outputs = arrange(self.output_specs(), outputs, &mut dims)?;
        self.enqueue_impl(stream, &inputs, &outputs, &dims)
    }

    fn scratch_bytes(&self) -> u64 {
        self.scratch_bytes_impl()
    }

    fn lend_scratch(&mut self, scratch: &Buffer) -> Result<()> {
        self.lend_scratch_impl(scratch)
    }
}

/// What has an element type and a shape.
trait Shaped {
    fn dtype(&self) -> DType;
    fn shape(&self) -> &[usize];
}

impl Shaped for Tensor {
    fn dtype(&self) -> DType {
        self.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.shape()
    }
}

impl Shaped for DeviceTensor {
    fn dtype(&self) -> DType {
        self.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.shape()
    }
}

fn arrange<'t, T: Shaped>(specs: &[TensorSpec], inputs: &[(&str, &'t T)], dims: &mut Dims) -> Result<Vec<&'t T>> {
    let names = || specs.iter().map(|spec| spec.name.clone()).collect();
    for (i, (name, _)) in inputs.iter().enumerate() {
        if !specs.iter().any(|spec| spec.name == *name) {
            return Err(EngineError::UnknownInput { name: (*name).to_owned(), names: names() });
        }
        if inputs[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(EngineError::RepeatedInput { name: (*name).to_owned() });
        }
    }
    specs
        .iter()
        .map(|spec| {
            let (_, tensor) = inputs
                .iter()
                .find(|(name, _)| *name == spec.name)
                .ok_or_else(|| EngineError::MissingInput { spec: spec.clone() })?;
            check(spec, *tensor, dims)?;
            Ok(*tensor)
        })
        .collect()
}

fn check(spec: &TensorSpec, tensor: &impl Shaped, dims: &mut Dims) -> Result<()> {
    if spec.dtype != tensor.dtype() {
        return Err(EngineError::DType { name: spec.name.clone(), expected: spec.dtype, got: tensor.dtype() });
    }
    dims.bind(spec, tensor.shape())
}
