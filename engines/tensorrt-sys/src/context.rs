#![allow(unsafe_code, reason = "a context is an object of the shim")]

use crate::library::check;
use crate::loaded::LoadedEngine;
use crate::{ElementType, MAX_DIMS, Result, SysError, TensorMode, ffi};
use egom2p_device::{Buffer, Stream};
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, PoisonError};

/// What runs an engine: shapes, addresses, and the memory of activations.
///
/// Runs of one context must not overlap: they share its memory. A graph that was captured from it is of the shapes and
/// addresses that it had, and must not be launched once they have changed.
pub struct ExecutionContext {
    handle: NonNull<ffi::Context>,
    /// The profile, and the stream on which it was chosen.
    chosen: Option<(usize, usize)>,
    engine: Arc<LoadedEngine>,
}

// SAFETY: TensorRT binds no context to a thread; only one at a time uses it, as the methods take it exclusively.
unsafe impl Send for ExecutionContext {}

/// What a run works on.
#[derive(Debug, Clone, Copy)]
pub struct RunBindings<'a> {
    /// Place of the profile among the engine's.
    pub profile: usize,
    /// All inputs and all outputs.
    pub tensors: &'a [Binding<'a>],
    /// Memory of activations, for the profile; may be left out where it needs none.
    pub scratch: Option<&'a Buffer>,
}

/// A tensor of a run.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// Place among the tensors of the engine's description.
    pub tensor: usize,
    /// Length of every axis.
    pub shape: &'a [usize],
    /// The elements, at a multiple of 256 bytes; at least one byte, also where there are none.
    pub buffer: &'a Buffer,
}

impl ExecutionContext {
    /// The alignment that TensorRT asks of addresses, in bytes.
    pub const ALIGNMENT: usize = 256;

    pub(crate) fn new(engine: Arc<LoadedEngine>) -> Result<Self> {
        let making = engine.making.lock().unwrap_or_else(PoisonError::into_inner);
        engine.device.make_current()?;
        let mut failure = ffi::Failure::none();
        // SAFETY: the engine is alive, and the context keeps it so.
        let handle = unsafe { (engine.table.create_context)(engine.handle.as_ptr(), &raw mut failure) };
        check(&failure, &engine.relay)?;
        let nothing = || SysError::Refused { call: "createExecutionContext".to_owned(), lines: Vec::new() };
        let handle = NonNull::new(handle).ok_or_else(nothing)?;
        drop(making);
        Ok(Self { handle, chosen: None, engine })
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<LoadedEngine> {
        &self.engine
    }

    /// Takes over what the next runs work on. Choosing another profile may enqueue copies on the stream.
    ///
    /// # Errors
    /// [`SysError::Binding`] for buffers that do not fit, and what TensorRT refuses; the run before is then forgotten.
    pub fn prepare(&mut self, stream: &dyn Stream, run: &RunBindings<'_>) -> Result<()> {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for binding in run.tensors {
            let (mode, binding) = self.binding(binding)?;
            match mode {
                TensorMode::Input => inputs.push(binding),
                TensorMode::Output => outputs.push(binding),
            }
        }
        let description = self.engine.description();
        if inputs.len() + outputs.len() != description.tensors.len() {
            let what = format!("{} of {} tensors are given", run.tensors.len(), description.tensors.len());
            return Err(SysError::Binding { what });
        }
        let needed_bytes = description.profiles.get(run.profile).map(|profile| profile.device_memory_bytes);
        let needed_bytes = needed_bytes.ok_or_else(|| SysError::Binding {
            what: format!("there is no profile {} among {}", run.profile, description.profiles.len()),
        })?;
        let scratch_bytes = run.scratch.map_or(0, Buffer::n_bytes);
        if (scratch_bytes as u64) < needed_bytes {
            let what = format!("profile {} needs {needed_bytes} bytes, {scratch_bytes} are lent", run.profile);
            return Err(SysError::Binding { what });
        }
        if let Some(scratch) = run.scratch {
            check_address("memory of activations", scratch)?;
        }
        let choice = (run.profile, stream.handle());
        let request = ffi::Run {
            inputs: inputs.as_ptr(),
            n_inputs: inputs.len(),
            outputs: outputs.as_ptr(),
            n_outputs: outputs.len(),
            scratch: run.scratch.map_or(std::ptr::null_mut(), address),
            scratch_bytes: scratch_bytes as i64,
            profile: run.profile as i32,
            choose_profile: i32::from(self.chosen != Some(choice)),
            stream: std::ptr::with_exposed_provenance_mut(stream.handle()),
        };
        self.chosen = None;
        self.engine.device.make_current()?;
        let mut failure = ffi::Failure::none();
        // SAFETY: the context and its engine are alive, and the shim copies what it is given.
        unsafe { (self.engine.table.prepare)(self.handle.as_ptr(), &raw const request, &raw mut failure) };
        check(&failure, &self.engine.relay)?;
        self.chosen = Some(choice);
        Ok(())
    }

    /// Enqueues a run with what was prepared on that stream. Buffers must live until the stream has done it.
    ///
    /// # Errors
    /// What TensorRT refuses.
    pub fn enqueue(&mut self, stream: &dyn Stream) -> Result<()> {
        if self.chosen.is_none_or(|(_, of_stream)| of_stream != stream.handle()) {
            return Err(SysError::Binding { what: "nothing is prepared on this stream".to_owned() });
        }
        self.engine.device.make_current()?;
        let stream = std::ptr::with_exposed_provenance_mut(stream.handle());
        let mut failure = ffi::Failure::none();
        // SAFETY: the context is alive and has been prepared, so that every address is set and large enough.
        unsafe { (self.engine.table.enqueue)(self.handle.as_ptr(), stream, &raw mut failure) };
        check(&failure, &self.engine.relay)
    }

    /// Whether TensorRT says that a run on the stream can be captured. Only TensorRT-RTX tells; the others are taken to
    /// say yes.
    ///
    /// # Errors
    /// If TensorRT fails.
    pub fn is_capturable(&mut self, stream: &dyn Stream) -> Result<bool> {
        self.engine.device.make_current()?;
        let stream = std::ptr::with_exposed_provenance_mut(stream.handle());
        let mut failure = ffi::Failure::none();
        // SAFETY: the context is alive.
        let is = unsafe { (self.engine.table.is_capturable)(self.handle.as_ptr(), stream, &raw mut failure) };
        check(&failure, &self.engine.relay)?;
        Ok(is != 0)
    }

    fn binding(&self, binding: &Binding<'_>) -> Result<(TensorMode, ffi::Binding)> {
        let wrong = |what: String| SysError::Binding { what };
        let tensors = &self.engine.description().tensors;
        let tensor =
            tensors.get(binding.tensor).ok_or_else(|| wrong(format!("there is no tensor {}", binding.tensor)))?;
        let mut dims = [0; MAX_DIMS];
        let n_dims = binding.shape.len();
        if n_dims > MAX_DIMS {
            return Err(wrong(format!("{} has {n_dims} axes, at most {MAX_DIMS} are possible", tensor.name)));
        }
        for (dim, length) in dims.iter_mut().zip(binding.shape) {
            *dim = i64::try_from(*length).map_err(|_| wrong(format!("{} has an axis of {length}", tensor.name)))?;
        }
        let element_bytes = element_bytes(tensor.dtype)
            .ok_or_else(|| wrong(format!("{} has elements of type {}", tensor.name, tensor.dtype)))?;
        let n_bytes = binding.shape.iter().try_fold(element_bytes, |n: usize, length| n.checked_mul(*length));
        let got = binding.buffer.n_bytes();
        if n_bytes.is_none_or(|n_bytes| n_bytes.max(1) > got) {
            return Err(wrong(format!("{} of shape {:?} does not fit into {got} bytes", tensor.name, binding.shape)));
        }
        check_address(&tensor.name, binding.buffer)?;
        let name = self.engine.names[binding.tensor].as_ptr();
        Ok((tensor.mode, ffi::Binding { name, address: address(binding.buffer), n_dims: n_dims as i32, dims }))
    }
}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext").field("chosen", &self.chosen).finish_non_exhaustive()
    }
}

impl Drop for ExecutionContext {
    fn drop(&mut self) {
        let _making = self.engine.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Without its context the driver refuses to free: nothing better can be done about that here.
        let _ = self.engine.device.make_current();
        // SAFETY: the context comes from this shim and is freed once, before its engine.
        unsafe { (self.engine.table.free_context)(self.handle.as_ptr()) }
    }
}

fn address(buffer: &Buffer) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(buffer.address())
}

fn check_address(name: &str, buffer: &Buffer) -> Result<()> {
    let address = buffer.address();
    if address == 0 || !address.is_multiple_of(ExecutionContext::ALIGNMENT) {
        let what = format!("{name} lies at {address:#x}, expected a multiple of {}", ExecutionContext::ALIGNMENT);
        return Err(SysError::Binding { what });
    }
    Ok(())
}

/// Bytes of an element; none where it takes no whole number.
fn element_bytes(dtype: ElementType) -> Option<usize> {
    match dtype {
        ElementType::Float | ElementType::Int32 => Some(4),
        ElementType::Int64 => Some(8),
        ElementType::Half | ElementType::Bf16 => Some(2),
        ElementType::Fp8 | ElementType::E8M0 | ElementType::Int8 | ElementType::UInt8 | ElementType::Bool => Some(1),
        ElementType::Fp4 | ElementType::Int4 | ElementType::Unknown => None,
    }
}
