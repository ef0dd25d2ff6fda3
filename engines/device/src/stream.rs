use crate::{Buffer, ComputeDevice, Kernel, Result};
use std::any::Any;
use std::sync::Arc;

/// A queue of work on a device: what is enqueued runs in that order, and mostly later.
pub trait Stream: Any + Send + Sync {
    /// The device that it belongs to.
    fn device(&self) -> &Arc<dyn ComputeDevice>;

    /// What engines are handed: the `CUstream` of a GPU; 0 on the host.
    fn handle(&self) -> usize;

    /// Enqueues a transfer to the device. `fill` writes the bytes into page-locked memory, at once.
    fn write(&self, to: &Buffer, fill: &mut dyn FnMut(&mut [u8])) -> Result<()>;

    /// Waits for everything enqueued so far and hands the bytes of a buffer to `take`, from page-locked memory.
    fn read(&self, from: &Buffer, take: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// Enqueues a copy on the device; both have the same number of bytes and do not overlap.
    fn copy(&self, to: &Buffer, from: &Buffer) -> Result<()>;

    /// Enqueues a kernel, after [`Kernel::check`]. A kernel with nothing to do is not launched.
    fn launch(&self, kernel: &Kernel<'_>) -> Result<()>;

    /// Waits for everything enqueued so far.
    fn synchronize(&self) -> Result<()>;

    /// What is enqueued here from now on runs after what `other` holds now.
    fn wait_for(&self, other: &dyn Stream) -> Result<()>;

    /// Starts recording: until [`Stream::end_capture`], work is noted and does not run. Neither [`Stream::read`] nor
    /// [`Stream::write`] nor [`Stream::synchronize`] may be called in between. `false` where the device cannot record,
    /// and then everything runs at once as usual and there is nothing to end. Whoever starts a recording ends it, on
    /// the same thread, also where work in between failed.
    fn begin_capture(&self) -> Result<bool>;

    /// Ends the recording.
    fn end_capture(&self) -> Result<Box<dyn CapturedGraph>>;

    /// Enqueues a transfer of these bytes.
    fn upload(&self, to: &Buffer, bytes: &[u8]) -> Result<()> {
        let room = to.slice(0..bytes.len())?;
        self.write(&room, &mut |staged| staged.copy_from_slice(bytes))
    }

    /// Waits, and fetches as many bytes as there is room for.
    fn download(&self, from: &Buffer, bytes: &mut [u8]) -> Result<()> {
        let part = from.slice(0..bytes.len())?;
        self.read(&part, &mut |staged| bytes.copy_from_slice(staged))
    }
}

/// Recorded work, which is launched as a whole (a CUDA graph). It keeps nothing that it touches alive: buffers must
/// outlive it.
pub trait CapturedGraph: Send {
    /// Enqueues it on the stream that it was recorded from.
    fn launch(&self) -> Result<()>;
}
