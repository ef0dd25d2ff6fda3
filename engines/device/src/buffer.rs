use crate::{DeviceError, Result};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Bytes on a device. Clones and slices share them; they are freed with the last.
#[derive(Clone)]
pub struct Buffer {
    address: usize,
    n_bytes: usize,
    owner: Arc<dyn Any + Send + Sync>,
}

impl Buffer {
    /// Bytes that `owner` keeps valid: only devices make them.
    pub(crate) fn new(address: usize, n_bytes: usize, owner: Arc<dyn Any + Send + Sync>) -> Self {
        Self { address, n_bytes, owner }
    }

    /// Where the bytes are, in the address space of the device.
    pub fn address(&self) -> usize {
        self.address
    }

    /// What keeps the bytes valid, if it is a `T`: so a device knows its own buffers.
    pub(crate) fn owner<T: Any>(&self) -> Option<&T> {
        self.owner.downcast_ref()
    }

    /// How many there are.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// A part of the buffer.
    ///
    /// # Errors
    /// [`DeviceError::Range`] where the part is not inside.
    pub fn slice(&self, bytes: Range<usize>) -> Result<Self> {
        if bytes.start > bytes.end || bytes.end > self.n_bytes {
            return Err(DeviceError::Range { start: bytes.start, end: bytes.end, n_bytes: self.n_bytes });
        }
        Ok(Self { address: self.address + bytes.start, n_bytes: bytes.len(), owner: Arc::clone(&self.owner) })
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("address", &self.address).field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}
