#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::event::Event;
use super::memory::PinnedMemory;
use super::queue::Queue;
use crate::{Buffer, Result};
use cudarc::driver::sys::CUdeviceptr;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Transfers to the device that may be under way before a further one waits for the first.
const N_TRANSFERS: usize = 4;
/// The least page-locked memory that is reserved; sizes are doubled from there.
const LEAST_BYTES: usize = 1 << 16;

/// Page-locked memory for the transfers of one stream. It grows to the largest transfer and is used again.
///
/// Nothing is locked while the caller fills or takes bytes, so a stream may be used meanwhile.
pub(super) struct Staging {
    queue: Arc<Queue>,
    /// Transfers to the device, the oldest first.
    outgoing: Mutex<VecDeque<Transfer>>,
    /// Memory for what comes from the device, while nobody reads.
    incoming: Mutex<Option<PinnedMemory>>,
}

/// A transfer to the device, and its memory.
struct Transfer {
    memory: PinnedMemory,
    /// Passed when the device has read the memory.
    end: Event,
}

impl Staging {
    /// No memory yet.
    pub(super) fn new(queue: &Arc<Queue>) -> Self {
        Self { queue: Arc::clone(queue), outgoing: Mutex::default(), incoming: Mutex::default() }
    }

    /// Enqueues a transfer of what `fill` writes.
    pub(super) fn write(&self, to: &Buffer, fill: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        let context = &self.queue.context;
        let mut memory = self.outgoing_room(to.n_bytes())?;
        fill(&mut memory.bytes()[..to.n_bytes()]);
        // Made before the transfer is enqueued: without it nothing says when the memory is free again.
        let end = Event::new(context)?;
        let calls = context.enter()?;
        let (pointer, address) = (memory.pointer(), to.address() as CUdeviceptr);
        // SAFETY: both ends have that many bytes; the page-locked ones are kept until the event is passed.
        let code = unsafe { (calls.cuMemcpyHtoDAsync_v2)(address, pointer, to.n_bytes(), self.queue.stream) };
        context.check("a transfer to it", code)?;
        if let Err(error) = end.record(self.queue.stream) {
            // The transfer is under way and nothing tells its end, so all of the stream is waited for.
            self.queue.synchronize()?;
            return Err(error);
        }
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).push_back(Transfer { memory, end });
        Ok(())
    }

    /// Waits for everything enqueued and hands the bytes of a buffer to `take`.
    pub(super) fn read(&self, from: &Buffer, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        let context = &self.queue.context;
        let used = self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut memory = self.room(used, from.n_bytes())?;
        let calls = context.enter()?;
        let (pointer, address) = (memory.pointer(), from.address() as CUdeviceptr);
        // SAFETY: both ends have that many bytes; the page-locked ones are kept until the stream was waited for.
        let code = unsafe { (calls.cuMemcpyDtoHAsync_v2)(pointer, address, from.n_bytes(), self.queue.stream) };
        context.check("a transfer from it", code)?;
        self.queue.synchronize()?;
        take(&memory.bytes()[..from.n_bytes()]);
        *self.incoming.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
        Ok(())
    }

    /// Memory for a transfer to the device: that of the oldest, once it is over, where there are enough.
    fn outgoing_room(&self, n_bytes: usize) -> Result<PinnedMemory> {
        let oldest = {
            let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
            if outgoing.len() < N_TRANSFERS { None } else { outgoing.pop_front() }
        };
        let used = oldest.map(Transfer::finish).transpose()?;
        self.room(used, n_bytes)
    }

    /// Memory of at least that many bytes: what was used before, where it is enough.
    fn room(&self, used: Option<PinnedMemory>, n_bytes: usize) -> Result<PinnedMemory> {
        match used {
            Some(memory) if memory.n_bytes() >= n_bytes => Ok(memory),
            smaller => {
                drop(smaller);
                let grown = n_bytes.max(LEAST_BYTES);
                PinnedMemory::new(&self.queue.context, grown.checked_next_power_of_two().unwrap_or(grown))
            }
        }
    }
}

impl Drop for Staging {
    /// Memory is freed when nothing reads it any more.
    fn drop(&mut self) {
        let _lost = self.queue.synchronize();
    }
}

impl Transfer {
    /// Its memory, once the device has read it.
    fn finish(self) -> Result<PinnedMemory> {
        self.end.synchronize()?;
        Ok(self.memory)
    }
}
