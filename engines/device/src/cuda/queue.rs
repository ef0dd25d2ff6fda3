#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::context::Context;
use crate::Result;
use cudarc::driver::sys::{CUstream, CUstream_flags};
use std::ffi::c_uint;
use std::sync::Arc;

/// A stream of the driver. Destroyed when dropped: the driver finishes what is enqueued.
pub(super) struct Queue {
    /// Its context.
    pub(super) context: Arc<Context>,
    /// Its handle, alive for as long as this is.
    pub(super) stream: CUstream,
}

// SAFETY: the driver takes calls for one stream from any thread, several at a time.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// A stream that does not wait for the default stream.
    pub(super) fn new(context: &Arc<Context>) -> Result<Self> {
        let calls = context.enter()?;
        let mut stream = std::ptr::null_mut();
        let flags = CUstream_flags::CU_STREAM_NON_BLOCKING as c_uint;
        // SAFETY: the address is of a pointer that lives during the call.
        context.check("making a stream", unsafe { (calls.cuStreamCreate)(&raw mut stream, flags) })?;
        Ok(Self { context: Arc::clone(context), stream })
    }

    /// Waits for everything enqueued so far.
    pub(super) fn synchronize(&self) -> Result<()> {
        let calls = self.context.enter()?;
        // SAFETY: the stream is alive.
        self.context.check("waiting for its work", unsafe { (calls.cuStreamSynchronize)(self.stream) })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Ok(calls) = self.context.enter() {
            // SAFETY: the stream is not used again.
            let _lost = self.context.check("ending a stream", unsafe { (calls.cuStreamDestroy_v2)(self.stream) });
        }
    }
}
