#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::context::Context;
use crate::Result;
use cudarc::driver::sys::{CUevent, CUevent_flags, CUstream};
use std::ffi::c_uint;
use std::sync::Arc;

/// A place in the work of a stream.
pub(super) struct Event {
    context: Arc<Context>,
    event: CUevent,
}

// SAFETY: the driver takes events from any thread.
unsafe impl Send for Event {}

impl Event {
    /// A place that is passed already.
    pub(super) fn new(context: &Arc<Context>) -> Result<Self> {
        let calls = context.enter()?;
        let mut event = std::ptr::null_mut();
        let flags = CUevent_flags::CU_EVENT_DISABLE_TIMING as c_uint;
        // SAFETY: the address is of a pointer that lives during the call.
        context.check("making an event", unsafe { (calls.cuEventCreate)(&raw mut event, flags) })?;
        Ok(Self { context: Arc::clone(context), event })
    }

    /// Moves it to the end of what a living stream of the same context holds now.
    pub(super) fn record(&self, stream: CUstream) -> Result<()> {
        let calls = self.context.enter()?;
        // SAFETY: both are alive and of one context.
        self.context.check("recording an event", unsafe { (calls.cuEventRecord)(self.event, stream) })
    }

    /// Lets a living stream of the same context wait until it is passed.
    pub(super) fn hold(&self, stream: CUstream) -> Result<()> {
        let calls = self.context.enter()?;
        // SAFETY: both are alive and of one context.
        self.context.check("waiting for a stream", unsafe { (calls.cuStreamWaitEvent)(stream, self.event, 0) })
    }

    /// Waits until it is passed.
    pub(super) fn synchronize(&self) -> Result<()> {
        let calls = self.context.enter()?;
        // SAFETY: the event is alive.
        self.context.check("waiting for an event", unsafe { (calls.cuEventSynchronize)(self.event) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Ok(calls) = self.context.enter() {
            // SAFETY: the event is not used again; where a stream still waits for it, the driver keeps it until then.
            let _lost = self.context.check("ending an event", unsafe { (calls.cuEventDestroy_v2)(self.event) });
        }
    }
}
