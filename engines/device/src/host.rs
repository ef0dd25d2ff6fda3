#![allow(unsafe_code, reason = "buffers are addresses, as they are on a GPU; every range is checked before it is used")]

#[cfg(feature = "host-kernels")]
mod kernels;

use crate::Stream;
use crate::{Buffer, CapturedGraph, ComputeDevice, DeviceError, DeviceFacts, DeviceKind, DeviceMemory, Kernel, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The alignment of buffers.
const ALIGNMENT: usize = 256;

/// The processor as a device: work is done when it is enqueued. For tests and for machines without a GPU.
#[derive(Debug)]
pub struct HostDevice {
    facts: DeviceFacts,
    total_bytes: u64,
    used_bytes: Arc<AtomicU64>,
}

impl HostDevice {
    /// A device that gives at most this many bytes at a time.
    pub fn new(total_bytes: u64) -> Arc<Self> {
        let facts =
            DeviceFacts { kind: DeviceKind::Host, name: "host".to_owned(), compute_capability: None, driver: None };
        Arc::new(Self { facts, total_bytes, used_bytes: Arc::default() })
    }
}

/// Memory of a buffer.
struct Block {
    words: Vec<Line>,
    n_bytes: u64,
    used_bytes: Arc<AtomicU64>,
}

#[derive(Clone, Copy)]
#[repr(C, align(256))]
struct Line([u8; ALIGNMENT]);

impl Drop for Block {
    fn drop(&mut self) {
        self.used_bytes.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

impl ComputeDevice for HostDevice {
    fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    fn memory(&self) -> Result<DeviceMemory> {
        let free_bytes = self.total_bytes.saturating_sub(self.used_bytes.load(Ordering::Relaxed));
        Ok(DeviceMemory { total_bytes: self.total_bytes, free_bytes })
    }

    fn allocate(&self, n_bytes: usize) -> Result<Buffer> {
        let DeviceMemory { total_bytes, free_bytes } = self.memory()?;
        let asked_bytes = n_bytes as u64;
        let full = || DeviceError::OutOfMemory { name: self.facts.name.clone(), asked_bytes, free_bytes, total_bytes };
        if asked_bytes > free_bytes {
            return Err(full());
        }
        let n_lines = n_bytes.div_ceil(ALIGNMENT).max(1);
        let mut words = Vec::new();
        words.try_reserve_exact(n_lines).map_err(|_| full())?;
        words.resize(n_lines, Line([0; ALIGNMENT]));
        self.used_bytes.fetch_add(asked_bytes, Ordering::Relaxed);
        let mut block = Block { words, n_bytes: asked_bytes, used_bytes: Arc::clone(&self.used_bytes) };
        let address = block.words.as_mut_ptr().expose_provenance();
        Ok(Buffer::new(address, n_bytes, Arc::new(block)))
    }

    fn stream(self: Arc<Self>) -> Result<Arc<dyn Stream>> {
        Ok(Arc::new(HostStream { device: self }))
    }
}

struct HostStream {
    device: Arc<dyn ComputeDevice>,
}

impl Stream for HostStream {
    fn device(&self) -> &Arc<dyn ComputeDevice> {
        &self.device
    }

    fn handle(&self) -> usize {
        0
    }

    fn write(&self, to: &Buffer, fill: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let to_bytes = self.pointer(to)?;
        let mut staged = vec![0; to.n_bytes()];
        fill(&mut staged);
        // SAFETY: the buffer has that many bytes, and the staged ones are not among them.
        unsafe { std::ptr::copy_nonoverlapping(staged.as_ptr(), to_bytes, staged.len()) };
        Ok(())
    }

    fn read(&self, from: &Buffer, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        let from_bytes = self.pointer(from)?;
        let mut staged = vec![0; from.n_bytes()];
        // SAFETY: the buffer has that many bytes, and the staged ones are not among them.
        unsafe { std::ptr::copy_nonoverlapping(from_bytes, staged.as_mut_ptr(), staged.len()) };
        take(&staged);
        Ok(())
    }

    fn copy(&self, to: &Buffer, from: &Buffer) -> Result<()> {
        if to.n_bytes() != from.n_bytes() {
            return Err(DeviceError::Size { what: "a copy", expected: from.n_bytes(), got: to.n_bytes() });
        }
        let (to_bytes, from_bytes) = (self.pointer(to)?, self.pointer(from)?);
        // SAFETY: both buffers have that many bytes; `copy` allows them to overlap.
        unsafe { std::ptr::copy(from_bytes, to_bytes, from.n_bytes()) };
        Ok(())
    }

    fn launch(&self, kernel: &Kernel<'_>) -> Result<()> {
        kernel.check()?;
        self.run(kernel)
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn wait_for(&self, other: &dyn Stream) -> Result<()> {
        other.synchronize()
    }

    fn begin_capture(&self) -> Result<bool> {
        Ok(false)
    }

    fn end_capture(&self) -> Result<Box<dyn CapturedGraph>> {
        let name = self.device.facts().name.clone();
        Err(DeviceError::Call { name, action: "ending a recording", what: "none was begun".to_owned() })
    }
}

impl HostStream {
    /// Where the bytes of a buffer are.
    fn pointer(&self, buffer: &Buffer) -> Result<*mut u8> {
        if buffer.owner::<Block>().is_none() {
            return Err(DeviceError::Foreign { name: self.device.facts().name.clone() });
        }
        Ok(std::ptr::with_exposed_provenance_mut(buffer.address()))
    }

    #[cfg(not(feature = "host-kernels"))]
    #[allow(clippy::unused_self, reason = "the same call with and without kernels")]
    fn run(&self, _: &Kernel<'_>) -> Result<()> {
        Err(DeviceError::NoHostKernels)
    }
}
