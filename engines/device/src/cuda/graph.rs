#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::queue::Queue;
use crate::{CapturedGraph, Result};
use cudarc::driver::sys::{CUgraph, CUgraphExec, CUstreamCaptureMode};
use std::ffi::c_int;
use std::sync::Arc;

/// Recorded work, ready to be launched.
pub(super) struct Graph {
    queue: Arc<Queue>,
    graph: CUgraphExec,
}

// SAFETY: the driver takes the handle from any thread; `&self` only launches it.
unsafe impl Send for Graph {}

impl Graph {
    /// Starts recording what this thread enqueues. Calls that wait for the device are refused on this thread
    /// meanwhile, rather than recorded wrongly; other threads are not concerned.
    pub(super) fn begin(queue: &Queue) -> Result<()> {
        let calls = queue.context.enter()?;
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL as c_int;
        // SAFETY: the stream is alive.
        let code = unsafe { (calls.cuStreamBeginCapture_v2)(queue.stream, mode) };
        queue.context.check("starting to record", code)
    }

    /// Ends the recording, on the thread that began it.
    pub(super) fn end(queue: &Arc<Queue>) -> Result<Self> {
        let context = &queue.context;
        let calls = context.enter()?;
        let mut recorded: CUgraph = std::ptr::null_mut();
        // SAFETY: the stream is alive, and the address is of a pointer that lives during the call.
        context.check("ending a recording", unsafe { (calls.cuStreamEndCapture)(queue.stream, &raw mut recorded) })?;
        let mut graph: CUgraphExec = std::ptr::null_mut();
        // SAFETY: the recorded graph is alive, and the address is of a pointer that lives during the call.
        let code = unsafe { (calls.cuGraphInstantiateWithFlags)(&raw mut graph, recorded, 0) };
        // SAFETY: the recorded graph is alive and not used again; what is ready to launch does not need it.
        let freed = unsafe { (calls.cuGraphDestroy)(recorded) };
        context.check("preparing a recording", code)?;
        let graph = Self { queue: Arc::clone(queue), graph };
        context.check("ending a recording", freed)?;
        Ok(graph)
    }
}

impl CapturedGraph for Graph {
    fn launch(&self) -> Result<()> {
        let calls = self.queue.context.enter()?;
        // SAFETY: both are alive; whoever recorded the work keeps alive what it touches.
        let code = unsafe { (calls.cuGraphLaunch)(self.graph, self.queue.stream) };
        self.queue.context.check("launching a recording", code)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let Ok(calls) = self.queue.context.enter() {
            // SAFETY: the graph is not used again; where it still runs, the driver keeps it until the end.
            let code = unsafe { (calls.cuGraphExecDestroy)(self.graph) };
            let _lost = self.queue.context.check("ending a graph", code);
        }
    }
}
