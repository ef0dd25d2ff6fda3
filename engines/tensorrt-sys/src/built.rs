#![allow(unsafe_code, reason = "an engine lies in memory of TensorRT")]

use crate::ffi;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

/// What a build gives.
#[derive(Debug)]
pub struct Built {
    /// The engine, as it is written to a file.
    pub engine: HostBytes,
    /// The timing cache after the build, if it had one.
    pub timing_cache: Option<Vec<u8>>,
}

/// Bytes that TensorRT owns until they are dropped: engines are too large to copy.
pub struct HostBytes {
    owner: NonNull<std::ffi::c_void>,
    data: *const u8,
    n_bytes: usize,
    table: &'static ffi::Table,
}

impl HostBytes {
    /// Takes over what the shim gave; `None` where it gave nothing.
    ///
    /// # Safety
    /// `bytes` comes from the shim of `table`, and nobody else frees it.
    pub(crate) unsafe fn new(bytes: &ffi::HostMemory, table: &'static ffi::Table) -> Option<Self> {
        let owner = NonNull::new(bytes.owner)?;
        Some(Self { owner, data: bytes.data.cast(), n_bytes: bytes.n_bytes, table })
    }
}

impl Deref for HostBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: TensorRT keeps that many bytes at that place, unchanged, until the owner is freed.
        unsafe { std::slice::from_raw_parts(self.data, self.n_bytes) }
    }
}

impl fmt::Debug for HostBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostBytes({} bytes)", self.n_bytes)
    }
}

impl Drop for HostBytes {
    fn drop(&mut self) {
        // SAFETY: the owner comes from this shim and is freed once.
        unsafe { (self.table.free_bytes)(self.owner.as_ptr()) }
    }
}

// SAFETY: the bytes never change, and freeing them is not bound to a thread.
unsafe impl Send for HostBytes {}
// SAFETY: the bytes never change.
unsafe impl Sync for HostBytes {}
