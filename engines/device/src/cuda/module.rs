#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::context::Context;
use crate::{DeviceError, Result};
use cudarc::driver::sys::{CUfunction, CUstream};
use egom2p_kernels::{Kernels, Launch};
use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::sync::Arc;

/// The kernels, compiled by the driver for the GPU. They stay loaded for as long as the process lives.
pub(super) struct Module {
    context: Arc<Context>,
    functions: BTreeMap<&'static str, CUfunction>,
}

// SAFETY: functions are handles that are only read, and the driver takes them from any thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Compiles and loads all of them.
    pub(super) fn load(context: &Arc<Context>) -> Result<Self> {
        let calls = context.enter()?;
        let text = |text: &str| {
            CString::new(text).map_err(|_| context.misuse("loading the kernels", "a text has a zero inside"))
        };
        let ptx = text(Kernels::ptx())?;
        let mut module = std::ptr::null_mut();
        // SAFETY: the text ends in zero and lives during the call, and the address is of a pointer that does.
        let code = unsafe { (calls.cuModuleLoadData)(&raw mut module, ptx.as_ptr().cast()) };
        context.check("compiling the kernels", code)?;
        let mut functions = BTreeMap::new();
        for &entry in Kernels::ENTRIES {
            let name = text(entry)?;
            let mut function = std::ptr::null_mut();
            // SAFETY: the module is loaded; the name ends in zero, and it and the address are of values that live
            // during the call.
            let code = unsafe { (calls.cuModuleGetFunction)(&raw mut function, module, name.as_ptr()) };
            context.check("finding a kernel", code)?;
            functions.insert(entry, function);
        }
        Ok(Self { context: Arc::clone(context), functions })
    }

    /// Enqueues a kernel; none with an empty grid.
    ///
    /// # Safety
    /// The stream is alive and of the same context. `arguments` point to values of the types of the kernel's
    /// parameters, in their order, and the memory that they name holds what the kernel reads and writes.
    pub(super) unsafe fn launch(&self, launch: Launch, stream: CUstream, arguments: &mut [*mut c_void]) -> Result<()> {
        if launch.grid == 0 {
            return Ok(());
        }
        let Some(&function) = self.functions.get(launch.entry) else {
            return Err(DeviceError::Call {
                name: self.context.name().to_owned(),
                action: "launching a kernel",
                what: format!("there is no {}", launch.entry),
            });
        };
        let calls = self.context.enter()?;
        // SAFETY: the caller vouches for stream and arguments, which the driver copies during the call.
        let code = unsafe {
            (calls.cuLaunchKernel)(
                function,
                launch.grid,
                1,
                1,
                launch.block,
                1,
                1,
                launch.shared_bytes,
                stream,
                arguments.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        self.context.check("launching a kernel", code)
    }
}
