use std::ops::Range;

use egom2p_device::{Buffer, ComputeDevice, DeviceError};

/// Engines want tensors at multiples of this many bytes.
pub(crate) const ALIGNMENT: usize = 256;

/// Bytes of memory that is allocated in one piece.
#[derive(Debug, Default)]
pub(crate) struct ArenaPlan {
    n_bytes: usize,
}

/// The memory of a plan.
#[derive(Debug)]
pub(crate) struct Arena {
    memory: Buffer,
}

impl ArenaPlan {
    /// Room for so many elements. A sum that no machine can hold is refused when the memory is allocated.
    pub(crate) fn room(&mut self, n_elements: usize, element_bytes: usize) -> Range<usize> {
        let start = self.n_bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        self.n_bytes = start.saturating_add(n_elements.saturating_mul(element_bytes));
        start..self.n_bytes
    }

    /// All that is asked for.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Allocates everything.
    pub(crate) fn allocate(self, device: &dyn ComputeDevice) -> Result<Arena, DeviceError> {
        Ok(Arena { memory: device.allocate(self.n_bytes)? })
    }
}

impl Arena {
    /// The bytes of a room.
    pub(crate) fn buffer(&self, room: &Range<usize>) -> Result<Buffer, DeviceError> {
        self.memory.slice(room.clone())
    }
}
