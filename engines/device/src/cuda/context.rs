#![allow(unsafe_code, reason = "calls the CUDA driver")]

use super::driver::{Calls, Code, Driver, SUCCESS};
use crate::{DeviceError, DeviceFacts, DeviceKind, DeviceMemory, Result};
use cudarc::driver::sys::{CUcontext, CUdevice_attribute, CUresult, CUstreamCaptureMode};
use egom2p_kernels::Kernels;
use std::ffi::c_int;
use std::sync::OnceLock;

/// The primary context of a GPU, which engines of this process share. It is held for as long as the process lives.
pub(super) struct Context {
    driver: &'static Driver,
    primary: CUcontext,
    name: String,
    /// What the driver said when the GPU was lost.
    lost: OnceLock<String>,
}

// SAFETY: a context may be made current on any thread, and the driver takes calls from several at a time.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// The context of the visible GPU of this ordinal, and what that is.
    pub(super) fn open(ordinal: usize) -> Result<(DeviceFacts, Self)> {
        let driver = Driver::get()?;
        let n_devices = driver.n_devices()?;
        if ordinal >= n_devices {
            return Err(DeviceError::NoSuchDevice { ordinal, n_devices });
        }
        let mut device = 0;
        // SAFETY: the driver is started, and the address is of a number that lives during the call.
        driver.check("finding a GPU", unsafe { (driver.calls.cuDeviceGet)(&raw mut device, ordinal as c_int) })?;
        let name = driver.name(device)?;
        let found = (
            driver.attribute(device, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            driver.attribute(device, CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        );
        let needed = Kernels::NEEDED_COMPUTE_CAPABILITY;
        if found < needed {
            return Err(DeviceError::DeviceTooOld { name, found, needed });
        }
        let mut primary = std::ptr::null_mut();
        // SAFETY: the device is one that the driver gave, and the address is of a pointer that lives during the call.
        let code = unsafe { (driver.calls.cuDevicePrimaryCtxRetain)(&raw mut primary, device) };
        if code != SUCCESS {
            return Err(DeviceError::Call { name, action: "opening it", what: driver.text(code) });
        }
        let facts = DeviceFacts {
            kind: DeviceKind::Cuda(ordinal),
            name: name.clone(),
            compute_capability: Some(found),
            driver: Some(driver.version),
        };
        Ok((facts, Self { driver, primary, name, lost: OnceLock::new() }))
    }

    /// The name of the GPU.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The driver's functions, with this context current on the calling thread.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] once the GPU was lost.
    pub(super) fn enter(&self) -> Result<&Calls> {
        if let Some(what) = self.lost.get() {
            return Err(DeviceError::Lost { name: self.name.clone(), what: what.clone() });
        }
        // SAFETY: the context is held, so it is valid.
        self.check("making it current", unsafe { (self.driver.calls.cuCtxSetCurrent)(self.primary) })?;
        Ok(&self.driver.calls)
    }

    /// [`Context::enter`] for calls that may wait for the device, which a recording on this thread forbids unless the
    /// thread says that they do not concern what is recorded.
    pub(super) fn beside_recording<T>(&self, call: impl FnOnce(&Calls) -> Result<T>) -> Result<T> {
        let calls = self.enter()?;
        let mut mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED as c_int;
        // SAFETY: the address is of a number that lives during the call, which swaps it with the thread's.
        self.check("allowing it to wait", unsafe { (calls.cuThreadExchangeStreamCaptureMode)(&raw mut mode) })?;
        let outcome = call(calls);
        // SAFETY: as above; the number is now what the thread had.
        self.check("forbidding it to wait", unsafe { (calls.cuThreadExchangeStreamCaptureMode)(&raw mut mode) })?;
        outcome
    }

    /// An error for anything but success. After an error that leaves nothing usable, the GPU counts as lost.
    pub(super) fn check(&self, action: &'static str, code: Code) -> Result<()> {
        if code == SUCCESS {
            return Ok(());
        }
        let what = self.driver.text(code);
        let name = self.name.clone();
        if ends_everything(code) {
            let what = self.lost.get_or_init(|| what).clone();
            return Err(DeviceError::Lost { name, what });
        }
        Err(DeviceError::Call { name, action, what })
    }

    /// An error of the caller's making.
    pub(super) fn misuse(&self, action: &'static str, what: &str) -> DeviceError {
        DeviceError::Call { name: self.name.clone(), action, what: what.to_owned() }
    }

    /// How much memory there is.
    pub(super) fn memory(&self) -> Result<DeviceMemory> {
        let calls = self.enter()?;
        let (mut free_bytes, mut total_bytes) = (0, 0);
        // SAFETY: the addresses are of numbers that live during the call.
        let code = unsafe { (calls.cuMemGetInfo_v2)(&raw mut free_bytes, &raw mut total_bytes) };
        self.check("asking for its memory", code)?;
        Ok(DeviceMemory { total_bytes: total_bytes as u64, free_bytes: free_bytes as u64 })
    }
}

/// Whether the driver says of this error that it leaves the context, the process or the GPU in a state in which every
/// further call fails.
fn ends_everything(code: Code) -> bool {
    const ENDS: [CUresult; 18] = [
        CUresult::CUDA_ERROR_DEINITIALIZED,
        CUresult::CUDA_ERROR_ECC_UNCORRECTABLE,
        CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE,
        CUresult::CUDA_ERROR_CONTAINED,
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS,
        CUresult::CUDA_ERROR_LAUNCH_TIMEOUT,
        CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED,
        CUresult::CUDA_ERROR_ASSERT,
        CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR,
        CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION,
        CUresult::CUDA_ERROR_MISALIGNED_ADDRESS,
        CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE,
        CUresult::CUDA_ERROR_INVALID_PC,
        CUresult::CUDA_ERROR_LAUNCH_FAILED,
        CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK,
        CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED,
        CUresult::CUDA_ERROR_EXTERNAL_DEVICE,
        // What a GPU gives that fell off the bus.
        CUresult::CUDA_ERROR_UNKNOWN,
    ];
    ENDS.iter().any(|&end| end as Code == code)
}
