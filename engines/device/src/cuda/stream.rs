#![allow(unsafe_code, reason = "calls the CUDA driver; buffers are checked to be of this GPU and large enough")]

use super::event::Event;
use super::graph::Graph;
use super::memory::Allocation;
use super::module::Module;
use super::queue::Queue;
use super::staging::Staging;
use crate::{Buffer, CapturedGraph, ComputeDevice, DeviceError, Kernel, Result, Stream};
use cudarc::driver::sys::CUdeviceptr;
use egom2p_kernels::Launch;
use std::any::Any;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A stream of a GPU.
pub(super) struct CudaStream {
    device: Arc<dyn ComputeDevice>,
    queue: Arc<Queue>,
    module: Arc<Module>,
    staging: Staging,
    is_recording: AtomicBool,
}

impl CudaStream {
    /// A stream without work.
    pub(super) fn new(device: Arc<dyn ComputeDevice>, queue: Queue, module: Arc<Module>) -> Self {
        let queue = Arc::new(queue);
        let staging = Staging::new(&queue);
        Self { device, queue, module, staging, is_recording: AtomicBool::new(false) }
    }

    /// Where a buffer of this GPU is.
    fn address(&self, buffer: &Buffer) -> Result<CUdeviceptr> {
        let is_ours = buffer.owner::<Allocation>().is_some_and(|allocation| allocation.is_of(&self.queue.context));
        if is_ours {
            Ok(buffer.address() as CUdeviceptr)
        } else {
            Err(DeviceError::Foreign { name: self.queue.context.name().to_owned() })
        }
    }

    /// What cannot be recorded is refused before it spoils the recording.
    fn not_recording(&self, action: &'static str) -> Result<()> {
        if self.is_recording.load(Ordering::Acquire) {
            return Err(self.queue.context.misuse(action, "a recording is under way"));
        }
        Ok(())
    }

    /// Enqueues a kernel with these parameters.
    ///
    /// # Safety
    /// As for [`Module::launch`].
    unsafe fn enqueue(&self, launch: Launch, arguments: &mut [*mut c_void]) -> Result<()> {
        // SAFETY: the stream is alive and of the module's context; the caller vouches for the arguments.
        unsafe { self.module.launch(launch, self.queue.stream, arguments) }
    }
}

impl Stream for CudaStream {
    fn device(&self) -> &Arc<dyn ComputeDevice> {
        &self.device
    }

    fn handle(&self) -> usize {
        self.queue.stream as usize
    }

    fn write(&self, to: &Buffer, fill: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        self.not_recording("a transfer to it")?;
        self.address(to)?;
        if to.n_bytes() == 0 {
            fill(&mut []);
            return Ok(());
        }
        self.staging.write(to, fill)
    }

    fn read(&self, from: &Buffer, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.not_recording("a transfer from it")?;
        self.address(from)?;
        if from.n_bytes() == 0 {
            self.queue.synchronize()?;
            take(&[]);
            return Ok(());
        }
        self.staging.read(from, take)
    }

    fn copy(&self, to: &Buffer, from: &Buffer) -> Result<()> {
        if to.n_bytes() != from.n_bytes() {
            return Err(DeviceError::Size { what: "a copy", expected: from.n_bytes(), got: to.n_bytes() });
        }
        let (to_address, from_address) = (self.address(to)?, self.address(from)?);
        if to.n_bytes() == 0 {
            return Ok(());
        }
        let calls = self.queue.context.enter()?;
        // SAFETY: both buffers are of this GPU and have that many bytes. Freeing one waits for the copy.
        let code = unsafe { (calls.cuMemcpyDtoDAsync_v2)(to_address, from_address, to.n_bytes(), self.queue.stream) };
        self.queue.context.check("a copy", code)
    }

    fn launch(&self, kernel: &Kernel<'_>) -> Result<()> {
        kernel.check()?;
        match *kernel {
            Kernel::Guide { mixed, conditional, unconditional, weight, n_values } => {
                let mut mixed = self.address(mixed)?;
                let (mut conditional, mut unconditional) = (self.address(conditional)?, self.address(unconditional)?);
                let (mut weight, mut n_values) = (weight, n_values as u64);
                let mut arguments =
                    [of(&mut mixed), of(&mut conditional), of(&mut unconditional), of(&mut weight), of(&mut n_values)];
                // SAFETY: the parameters of egom2p_guide; the check found room for the values.
                unsafe { self.enqueue(Launch::guide(n_values), &mut arguments) }
            }
            Kernel::Sample { outcomes, logits, mut arguments, n_rows } => {
                let (mut outcomes, mut logits) = (self.address(outcomes)?, self.address(logits)?);
                let launch = Launch::sample(n_rows).ok_or_else(|| {
                    self.queue.context.misuse("sampling", &format!("{n_rows} rows are more than a grid has blocks"))
                })?;
                let mut arguments = [of(&mut outcomes), of(&mut logits), of(&mut arguments)];
                // SAFETY: the parameters of egom2p_sample; the check found room for the rows.
                unsafe { self.enqueue(launch, &mut arguments) }
            }
            Kernel::Gather { gathered, table, indices, n_indices } => {
                let mut n_table = (table.n_bytes() / size_of::<i64>()) as u64;
                let mut gathered = self.address(gathered)?;
                let (mut table, mut indices) = (self.address(table)?, self.address(indices)?);
                let mut n_indices = n_indices as u64;
                let mut arguments =
                    [of(&mut gathered), of(&mut table), of(&mut n_table), of(&mut indices), of(&mut n_indices)];
                // SAFETY: the parameters of egom2p_gather; the check found room for the indices, and the kernel
                // compares them with the table's size.
                unsafe { self.enqueue(Launch::gather(n_indices), &mut arguments) }
            }
            Kernel::Scatter { table, indices, values, n_indices } => {
                let mut n_table = (table.n_bytes() / size_of::<i64>()) as u64;
                let mut table = self.address(table)?;
                let (mut indices, mut values) = (self.address(indices)?, self.address(values)?);
                let mut n_indices = n_indices as u64;
                let mut arguments =
                    [of(&mut table), of(&mut n_table), of(&mut indices), of(&mut values), of(&mut n_indices)];
                // SAFETY: the parameters of egom2p_scatter; the check found room for the indices, and the kernel
                // compares them with the table's size.
                unsafe { self.enqueue(Launch::scatter(n_indices), &mut arguments) }
            }
        }
    }

    fn synchronize(&self) -> Result<()> {
        self.not_recording("waiting for its work")?;
        self.queue.synchronize()
    }

    fn wait_for(&self, other: &dyn Stream) -> Result<()> {
        let other_stream = (other as &dyn Any).downcast_ref::<Self>();
        match other_stream.filter(|other| Arc::ptr_eq(&other.queue.context, &self.queue.context)) {
            Some(other) => {
                let event = Event::new(&self.queue.context)?;
                event.record(other.queue.stream)?;
                event.hold(self.queue.stream)
            }
            // An event is of one device alone.
            None => other.synchronize(),
        }
    }

    fn begin_capture(&self) -> Result<bool> {
        if self.is_recording.swap(true, Ordering::AcqRel) {
            return Err(self.queue.context.misuse("starting to record", "a recording is under way"));
        }
        Graph::begin(&self.queue).inspect_err(|_| self.is_recording.store(false, Ordering::Release))?;
        Ok(true)
    }

    fn end_capture(&self) -> Result<Box<dyn CapturedGraph>> {
        if !self.is_recording.swap(false, Ordering::AcqRel) {
            return Err(self.queue.context.misuse("ending a recording", "none was begun"));
        }
        Ok(Box::new(Graph::end(&self.queue)?))
    }
}

impl Drop for CudaStream {
    /// A recording that nobody ended would make the stream unusable for what is still to be waited for.
    fn drop(&mut self) {
        if self.is_recording.swap(false, Ordering::AcqRel) {
            drop(Graph::end(&self.queue));
        }
    }
}

/// What a kernel's parameter is handed over as.
fn of<T>(value: &mut T) -> *mut c_void {
    std::ptr::from_mut(value).cast()
}
