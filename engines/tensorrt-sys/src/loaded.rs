#![allow(unsafe_code, reason = "an engine is an object of the shim")]

use crate::context::ExecutionContext;
use crate::driver::DeviceContext;
use crate::engine::EngineDescription;
use crate::library::{Library, check};
use crate::log::{LogRelay, LogSink};
use crate::{HostBytes, Result, SysError, ffi};
use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// An engine with its weights on a device. Its contexts keep it alive.
pub struct LoadedEngine {
    pub(crate) table: &'static ffi::Table,
    pub(crate) device: DeviceContext,
    pub(crate) handle: NonNull<ffi::LoadedEngine>,
    pub(crate) relay: Arc<LogRelay>,
    description: EngineDescription,
    /// Names of the tensors, as the shim takes them.
    pub(crate) names: Vec<CString>,
    /// Held while contexts are made or freed.
    pub(crate) making: Mutex<()>,
}

// SAFETY: TensorRT allows contexts of one engine in several threads, and reading an engine in any. What changes the
// engine, making and freeing contexts, is done under a lock.
unsafe impl Send for LoadedEngine {}
// SAFETY: as above.
unsafe impl Sync for LoadedEngine {}

impl LoadedEngine {
    pub(crate) fn load(
        library: &'static Library,
        device: DeviceContext,
        engine: &[u8],
        kernels: &[u8],
        log: Arc<dyn LogSink>,
    ) -> Result<Self> {
        device.make_current()?;
        let table = library.table();
        let relay = LogRelay::new(log);
        let kernels = ffi::KernelCache { data: kernels.as_ptr().cast(), n_bytes: kernels.len() };
        let mut failure = ffi::Failure::none();
        // SAFETY: the entry points are of the library that the table is for, the bytes outlive the call, and the relay
        // outlives the engine.
        let handle = unsafe {
            let log = relay.for_shim();
            let (data, n_bytes) = (engine.as_ptr().cast(), engine.len());
            let (log, kernels, failure) = (&raw const log, &raw const kernels, &raw mut failure);
            (table.load)(library.entries(), log, data, n_bytes, kernels, failure)
        };
        let handle = NonNull::new(handle);
        let loaded = Handle { table, handle };
        check(&failure, &relay)?;
        let nothing = || SysError::Refused { call: "deserializeCudaEngine".to_owned(), lines: Vec::new() };
        let handle = handle.ok_or_else(nothing)?;
        // SAFETY: the engine is of this table and alive.
        let description = unsafe { EngineDescription::of(table, handle, &relay)? };
        // What a cache that is not used logs is no error of the engine.
        relay.take_lines();
        let names = description.tensors.iter().map(|tensor| CString::new(tensor.name.as_str()).unwrap_or_default());
        let names = names.collect();
        std::mem::forget(loaded);
        Ok(Self { table, device, handle, relay, description, names, making: Mutex::default() })
    }

    /// What the engine says about itself.
    pub fn description(&self) -> &EngineDescription {
        &self.description
    }

    /// A context for runs, which shares the weights. It has no memory of its own for activations.
    ///
    /// # Errors
    /// [`SysError::Refused`] where TensorRT gives none, or where a tensor does not lie on the device;
    /// [`SysError::OutOfMemory`].
    pub fn context(self: &Arc<Self>) -> Result<ExecutionContext> {
        ExecutionContext::new(Arc::clone(self))
    }

    /// The kernels that were compiled for the device so far, for [`Library::load_engine`] of a later process; none
    /// where the library compiles them when it builds.
    ///
    /// # Errors
    /// If TensorRT fails.
    pub fn kernels(&self) -> Result<Option<HostBytes>> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.device.make_current()?;
        let mut failure = ffi::Failure::none();
        let mut bytes = ffi::HostMemory::none();
        // SAFETY: the engine is of this table and alive.
        unsafe { (self.table.kernel_cache)(self.handle.as_ptr(), &raw mut bytes, &raw mut failure) };
        // SAFETY: the bytes come from this shim, and nobody else frees them.
        let bytes = unsafe { HostBytes::new(&bytes, self.table) };
        check(&failure, &self.relay)?;
        Ok(bytes)
    }
}

impl fmt::Debug for LoadedEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedEngine").field("description", &self.description).finish_non_exhaustive()
    }
}

impl Drop for LoadedEngine {
    fn drop(&mut self) {
        // Without its context the driver refuses to free: nothing better can be done about that here.
        let _ = self.device.make_current();
        drop(Handle { table: self.table, handle: Some(self.handle) });
    }
}

/// Frees an engine.
struct Handle {
    table: &'static ffi::Table,
    handle: Option<NonNull<ffi::LoadedEngine>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            // SAFETY: the engine comes from this shim and is freed once, after its contexts, which keep it alive.
            unsafe { (self.table.free_engine)(handle.as_ptr()) }
        }
    }
}
