//! NVIDIA GPUs through the CUDA driver.
//!
//! The driver's library is opened when a GPU is first asked for. Types and constants are those of the bindings; the
//! functions are looked up here (`driver`), so that a missing one is an error, and an error code that the bindings do
//! not know is a number. Each thing that the driver gives has an owner that gives it back.

mod context;
mod driver;
mod event;
mod graph;
mod memory;
mod module;
mod queue;
mod staging;
mod stream;

use crate::{Buffer, ComputeDevice, DeviceFacts, DeviceMemory, Result, Stream};
use context::Context;
use memory::Allocation;
use module::Module;
use queue::Queue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use stream::CudaStream;

/// An NVIDIA GPU.
pub struct CudaDevice {
    facts: DeviceFacts,
    context: Arc<Context>,
    /// Loaded for the first stream.
    module: Mutex<Option<Arc<Module>>>,
}

impl CudaDevice {
    /// The GPU of this ordinal among the visible ones. There is one per process and ordinal, and it is never closed.
    ///
    /// # Errors
    /// [`crate::DeviceError::DriverMissing`], [`crate::DeviceError::NoDevice`], [`crate::DeviceError::DriverTooOld`],
    /// [`crate::DeviceError::NoSuchDevice`] and [`crate::DeviceError::DeviceTooOld`], found in this order.
    pub fn shared(ordinal: usize) -> Result<Arc<dyn ComputeDevice>> {
        static DEVICES: Mutex<BTreeMap<usize, Arc<CudaDevice>>> = Mutex::new(BTreeMap::new());
        let mut devices = DEVICES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = devices.get(&ordinal) {
            let device: Arc<CudaDevice> = Arc::clone(device);
            return Ok(device);
        }
        let (facts, context) = Context::open(ordinal)?;
        let device = Arc::new(Self { facts, context: Arc::new(context), module: Mutex::new(None) });
        devices.insert(ordinal, Arc::clone(&device));
        Ok(device)
    }

    fn module(&self) -> Result<Arc<Module>> {
        let mut module = self.module.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = &*module {
            return Ok(Arc::clone(module));
        }
        Ok(Arc::clone(module.insert(Arc::new(Module::load(&self.context)?))))
    }
}

impl fmt::Debug for CudaDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaDevice").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl ComputeDevice for CudaDevice {
    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn memory(&self) -> Result<DeviceMemory> {
        self.context.memory()
    }

    fn allocate(&self, n_bytes: usize) -> Result<Buffer> {
        let allocation = Allocation::new(&self.context, n_bytes)?;
        Ok(Buffer::new(allocation.address() as usize, n_bytes, Arc::new(allocation)))
    }

    fn stream(self: Arc<Self>) -> Result<Arc<dyn Stream>> {
        let module = self.module()?;
        let queue = Queue::new(&self.context)?;
        Ok(Arc::new(CudaStream::new(self, queue, module)))
    }
}
