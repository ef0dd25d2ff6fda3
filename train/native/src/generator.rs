#![allow(unsafe_code, reason = "generators are reached through the shim")]

use crate::{NativeError, Result, ffi};
use tch::{Device, Kind, Tensor};

/// State of the generator that operations on `device` use, u8 `[n_bytes]` on the processor. Whoever restores it gets the
/// same stream of numbers again.
pub fn generator_state(device: Device) -> Result<Tensor> {
    const ACTION: &str = "read the state of a generator";
    let device = place(ACTION, device)?;
    let state = ffi::checked(ACTION, |failure| {
        // SAFETY: the failure outlives the call.
        unsafe { ffi::egom2p_torch_generator_state(device, failure) }
    })?;
    // SAFETY: the shim made the tensor for this handle, and gives null only with a failure.
    Ok(unsafe { Tensor::from_ptr(state) })
}

/// Puts a generator into a state that [`generator_state`] gave.
pub fn set_generator_state(device: Device, state: &Tensor) -> Result<()> {
    const ACTION: &str = "restore a generator";
    let place = place(ACTION, device)?;
    if !state.defined() || state.kind() != Kind::Uint8 || state.device() != Device::Cpu || !state.is_contiguous() {
        return Err(NativeError::Arguments {
            action: ACTION,
            what: "the state is no contiguous tensor of bytes on the processor".to_owned(),
            mend: "use a state that was read from a generator of the same device",
        });
    }
    ffi::checked(ACTION, |failure| {
        // SAFETY: the state outlives the call; libtorch checks its size.
        unsafe { ffi::egom2p_torch_set_generator_state(place, state.as_ptr(), failure) }
    })
}

/// Starts a generator's stream anew.
pub fn seed_generator(device: Device, seed: u64) -> Result<()> {
    const ACTION: &str = "seed a generator";
    let device = place(ACTION, device)?;
    ffi::checked(ACTION, |failure| {
        // SAFETY: the failure outlives the call.
        unsafe { ffi::egom2p_torch_seed_generator(device, seed, failure) }
    })
}

/// What the shim calls a device.
fn place(action: &'static str, device: Device) -> Result<i32> {
    let n_devices = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) if (index as i64) < n_devices => Ok(index as i32),
        Device::Cuda(_) | Device::Mps | Device::Vulkan => Err(NativeError::Arguments {
            action,
            what: format!("there is no device {device:?}: {n_devices} CUDA devices"),
            mend: "use the processor, or a CUDA device that this machine has",
        }),
    }
}
