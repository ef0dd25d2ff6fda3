#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::context::Context;
use super::driver::SUCCESS;
use crate::{DeviceError, Result};
use cudarc::driver::sys::{CUdeviceptr, CUresult};
use std::ffi::{c_int, c_void};
use std::sync::Arc;

/// Memory of the GPU, freed when dropped. Freeing waits for the work that uses it.
pub(super) struct Allocation {
    context: Arc<Context>,
    address: CUdeviceptr,
}

/// Page-locked memory of the host, freed when dropped: whoever enqueues a transfer keeps it until that is over.
pub(super) struct PinnedMemory {
    context: Arc<Context>,
    pointer: *mut u8,
    n_bytes: usize,
}

// SAFETY: the memory is reached through `&mut self` and `&self` alone, from whatever thread holds them.
unsafe impl Send for PinnedMemory {}

impl Allocation {
    /// Bytes that are not initialised; at least one, because the driver refuses to give none.
    pub(super) fn new(context: &Arc<Context>, n_bytes: usize) -> Result<Self> {
        let mut address = 0;
        let code = context.beside_recording(|calls| {
            // SAFETY: the address is of a number that lives during the call.
            let code = unsafe { (calls.cuMemAlloc_v2)(&raw mut address, n_bytes.max(1)) };
            if code != CUresult::CUDA_ERROR_OUT_OF_MEMORY as c_int {
                context.check("reserving memory", code)?;
            }
            Ok(code)
        })?;
        if code != SUCCESS {
            let memory = context.memory()?;
            return Err(DeviceError::OutOfMemory {
                name: context.name().to_owned(),
                asked_bytes: n_bytes as u64,
                free_bytes: memory.free_bytes,
                total_bytes: memory.total_bytes,
            });
        }
        Ok(Self { context: Arc::clone(context), address })
    }

    /// Where the bytes are: a multiple of 256.
    pub(super) fn address(&self) -> CUdeviceptr {
        self.address
    }

    /// Whether it is of that context.
    pub(super) fn is_of(&self, context: &Arc<Context>) -> bool {
        Arc::ptr_eq(&self.context, context)
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let _lost = self.context.beside_recording(|calls| {
            // SAFETY: the address is of this allocation, which nothing uses any more.
            self.context.check("freeing memory", unsafe { (calls.cuMemFree_v2)(self.address) })
        });
    }
}

impl PinnedMemory {
    /// Zeros.
    pub(super) fn new(context: &Arc<Context>, n_bytes: usize) -> Result<Self> {
        let mut pointer: *mut c_void = std::ptr::null_mut();
        context.beside_recording(|calls| {
            // SAFETY: the address is of a pointer that lives during the call.
            let code = unsafe { (calls.cuMemHostAlloc)(&raw mut pointer, n_bytes.max(1), 0) };
            context.check("reserving page-locked memory of the host", code)
        })?;
        let pointer: *mut u8 = pointer.cast();
        // SAFETY: the driver gave that many bytes.
        unsafe { pointer.write_bytes(0, n_bytes) };
        Ok(Self { context: Arc::clone(context), pointer, n_bytes })
    }

    /// How many bytes there are.
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Where they are.
    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer.cast()
    }

    /// The bytes. No transfer that was enqueued may still be using them.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: that many bytes are initialised, and `&mut self` makes this the only way to them on the host.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.n_bytes) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        let _lost = self.context.beside_recording(|calls| {
            // SAFETY: the pointer is of this allocation, which nothing uses any more.
            self.context.check("freeing page-locked memory", unsafe { (calls.cuMemFreeHost)(self.pointer.cast()) })
        });
    }
}
