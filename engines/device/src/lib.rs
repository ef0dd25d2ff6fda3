//! Devices that hold tensors between stages: memory, streams, and the kernels of the decoding loop.
//!
//! A [`ComputeDevice`] gives [`Buffer`]s and [`Stream`]s. What is enqueued on a stream runs in that order and mostly
//! after the call has returned; [`Stream::read`] and [`Stream::synchronize`] wait. Two devices exist: an NVIDIA GPU
//! (`CudaDevice`, feature `cuda`), and [`HostDevice`], the processor with the same contract, on which the decoding
//! loop is tested where there is no GPU. [`open_cuda`] is there with and without the feature.
//!
//! A GPU needs its driver alone: the library is opened when a GPU is first asked for, and the kernels come as PTX,
//! which the driver compiles. After an error that the driver calls final, every call gives [`DeviceError::Lost`].
//!
//! **Invariant:** a buffer's bytes are valid for as long as any clone of it lives, and every range is checked against it
//! before anything native is called. The order between streams is the caller's business ([`Stream::wait_for`]).

mod buffer;
#[cfg(feature = "cuda")]
mod cuda;
mod device;
mod error;
mod host;
mod kernel;
mod stream;

pub use buffer::Buffer;
#[cfg(feature = "cuda")]
pub use cuda::CudaDevice;
pub use device::{ComputeDevice, DeviceFacts, DeviceKind, DeviceMemory};
pub use error::{DeviceError, Result};
pub use host::HostDevice;
pub use kernel::Kernel;
pub use stream::{CapturedGraph, Stream};

use std::sync::Arc;

/// The NVIDIA GPU of this ordinal among the visible ones, from a program built with or without the feature `cuda`.
///
/// # Errors
/// [`DeviceError::LeftOut`] without the feature, and what `CudaDevice::shared` gives with it.
pub fn open_cuda(ordinal: usize) -> Result<Arc<dyn ComputeDevice>> {
    #[cfg(feature = "cuda")]
    return CudaDevice::shared(ordinal);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = ordinal;
        Err(DeviceError::LeftOut)
    }
}
