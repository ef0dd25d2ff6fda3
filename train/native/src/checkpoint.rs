#![allow(unsafe_code, reason = "the closure is called from libtorch's backward pass")]

use crate::ffi::{self, Closure, Failure, Pointers, TensorList, TensorSink};
use crate::{NativeError, Result, generator_state};
use std::any::Any;
use std::ffi::c_void;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use tch::{Device, Tensor};

const ACTION: &str = "checkpoint activations";

/// A closure as the backward pass sees it: its error as text.
type Rerun = Mutex<Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>, String> + Send>>;

/// Runs a closure and keeps nothing of it but its inputs: the backward pass runs it again.
///
/// Gives what the closure gives, with gradients to `inputs` and to every tensor that the closure captured and that
/// requires one: the same gradients, bit for bit, as without a checkpoint, but for the order of a sum over several
/// checkpoints that read one parameter. Captured leaves are found in the graph of the
/// first run, so that [`crate::Reducer`] sees which parameters a loss depends on; of what a closure captures, only leaves
/// get gradients. Generators start the second run as they started the first.
///
/// Where gradients are switched off, the closure simply runs. An error of the first run is returned. An error or a panic
/// of the second ends the backward pass with an error of the same text; nothing unwinds through libtorch.
pub fn checkpoint<E>(
    inputs: &[&Tensor],
    closure: impl Fn(&[Tensor]) -> Result<Vec<Tensor>, E> + Send + 'static,
) -> Result<Vec<Tensor>, E>
where
    E: From<NativeError> + Display,
{
    if !ffi::egom2p_torch_is_recording() {
        let inputs: Vec<Tensor> = inputs.iter().map(|input| input.shallow_clone()).collect();
        return closure(&inputs);
    }
    let states = generator_states(inputs)?;
    let detach = |input: &&Tensor| input.f_detach()?.f_set_requires_grad(input.requires_grad());
    let detached: Vec<Tensor> =
        inputs.iter().map(detach).collect::<Result<_, _>>().map_err(NativeError::torch(ACTION))?;
    let recorded = closure(&detached)?;
    let rerun: Box<Rerun> =
        Box::new(Mutex::new(Box::new(move |inputs| closure(inputs).map_err(|error| error.to_string()))));
    let closure = Closure { user: Box::into_raw(rerun).cast(), run: run_again, drop: free };
    let mut outputs = Vec::with_capacity(recorded.len());
    let sink = TensorSink::into(&mut outputs);
    let [inputs, detached, recorded, states] = [
        Pointers::new(inputs.iter().copied()),
        Pointers::new(&detached),
        Pointers::new(&recorded),
        Pointers::new(&states),
    ];
    ffi::checked(ACTION, |failure| {
        // SAFETY: lists and sink outlive the call, and the shim takes over the closure.
        unsafe {
            ffi::egom2p_torch_checkpoint(
                inputs.list(),
                detached.list(),
                recorded.list(),
                states.list(),
                closure,
                sink,
                failure,
            );
        }
    })?;
    Ok(outputs)
}

/// The states of the generators that a run on these inputs may use: the processor's, and those of CUDA devices up to the
/// last that holds an input.
fn generator_states(inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let cuda = |input: &&Tensor| match input.device() {
        Device::Cuda(index) => Some(index),
        Device::Cpu | Device::Mps | Device::Vulkan => None,
    };
    let n_devices = inputs.iter().filter_map(cuda).max().map_or(0, |last| last + 1);
    [Device::Cpu].into_iter().chain((0..n_devices).map(Device::Cuda)).map(generator_state).collect()
}

/// Runs the closure behind `user` for the backward pass.
unsafe extern "C" fn run_again(
    user: *mut c_void,
    inputs: TensorList<'_>,
    outputs: *mut c_void,
    failure: *mut Failure,
) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `user` is the closure that was handed to the shim, which frees it later.
        let closure = unsafe { &*user.cast::<Rerun>() };
        let made = closure.lock().unwrap_or_else(PoisonError::into_inner)(&inputs.to_tensors())?;
        for tensor in &made {
            // SAFETY: `outputs` is the list of the running call, and the tensor is copied into it.
            if !unsafe { ffi::egom2p_torch_push(outputs, tensor.as_ptr()) } {
                return Err("a checkpointed closure gave no tensor\nreturn what libtorch made".to_owned());
            }
        }
        Ok(())
    }));
    let text = match outcome {
        Ok(Ok(())) => return true,
        Ok(Err(text)) => text,
        Err(panic) => format!("a checkpointed closure panicked: {}\nreport this as a bug", message(panic.as_ref())),
    };
    // SAFETY: the shim waits for the answer with this failure.
    unsafe { &mut *failure }.tell(&text);
    false
}

/// Frees the closure behind `user`; a panic of what it captured ends here.
unsafe extern "C" fn free(user: *mut c_void) {
    // SAFETY: the shim frees the closure once, and does not use it again.
    let rerun = unsafe { Box::from_raw(user.cast::<Rerun>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(rerun)));
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.and_then(|text| text.lines().next()).unwrap_or("without a message")
}
