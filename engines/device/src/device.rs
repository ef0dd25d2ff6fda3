use crate::{Buffer, Result, Stream};
use std::fmt::Debug;
use std::sync::Arc;

/// A device that holds tensors and runs kernels.
pub trait ComputeDevice: Debug + Send + Sync {
    /// What it is.
    fn facts(&self) -> &DeviceFacts;

    /// How much memory it has, and how much of it is free now.
    fn memory(&self) -> Result<DeviceMemory>;

    /// Bytes that are not initialised, at an address that is a multiple of 256. Zero bytes are legal.
    ///
    /// # Errors
    /// [`crate::DeviceError::OutOfMemory`] where they are not to be had.
    fn allocate(&self, n_bytes: usize) -> Result<Buffer>;

    /// A new queue of work, with the kernels loaded.
    fn stream(self: Arc<Self>) -> Result<Arc<dyn Stream>>;
}

/// What a device is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceFacts {
    /// Kind and place.
    pub kind: DeviceKind,
    /// Name, such as "NVIDIA H100 80GB HBM3".
    pub name: String,
    /// Compute capability, major and minor, of a GPU.
    pub compute_capability: Option<(u32, u32)>,
    /// Newest CUDA version that the driver of a GPU supports, major and minor.
    pub driver: Option<(u32, u32)>,
}

/// Kind of a device, and its place among the devices of that kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeviceKind {
    /// The processor.
    Host,
    /// The visible NVIDIA GPU of this ordinal.
    Cuda(usize),
}

/// Memory of a device in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DeviceMemory {
    /// All of it.
    pub total_bytes: u64,
    /// What is free.
    pub free_bytes: u64,
}
