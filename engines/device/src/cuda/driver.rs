#![allow(unsafe_code, reason = "the CUDA driver is a C library, opened at run time")]

use crate::{DeviceError, Result};
use cudarc::driver::sys::{
    CUcontext, CUdevice, CUdevice_attribute, CUdeviceptr, CUevent, CUfunction, CUgraph, CUgraphExec, CUmodule,
    CUresult, CUstream,
};
use egom2p_kernels::Kernels;
use libloading::Library;
use std::error::Error;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::OnceLock;

/// The name under which everything else opens the driver too: TensorRT, ONNX Runtime, the CUDA runtime.
const LIBRARY: &str = "libcuda.so.1";
/// What errors name where there is no device yet.
const NAME: &str = "the NVIDIA driver";

/// What a call of the driver gives: a number, because a newer driver knows more errors than the bindings list.
pub(super) type Code = c_int;

pub(super) const SUCCESS: Code = CUresult::CUDA_SUCCESS as Code;

/// The NVIDIA driver, started. It keeps threads of its own and is never closed.
pub(super) struct Driver {
    /// Its functions.
    pub(super) calls: Calls,
    /// Newest CUDA version that it supports, major and minor.
    pub(super) version: (u32, u32),
}

/// Declares the functions with the types of the CUDA driver API, and looks all of them up at once: the bindings' own
/// lookup panics where one is missing.
macro_rules! calls {
    ($($name:ident($($argument:ty),*);)*) => {
        /// Functions of the driver, under their names.
        #[allow(non_snake_case, reason = "the names of the driver")]
        pub(super) struct Calls {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> Code,)*
        }

        impl Calls {
            fn load(library: &Library) -> Result<Self> {
                // SAFETY: the types are those that cuda.h declares.
                unsafe { Ok(Self { $($name: function(library, stringify!($name))?,)* }) }
            }
        }
    };
}

calls! {
    cuCtxSetCurrent(CUcontext);
    cuDeviceGet(*mut CUdevice, c_int);
    cuDeviceGetAttribute(*mut c_int, c_int, CUdevice);
    cuDeviceGetCount(*mut c_int);
    cuDeviceGetName(*mut c_char, c_int, CUdevice);
    cuDevicePrimaryCtxRetain(*mut CUcontext, CUdevice);
    cuEventCreate(*mut CUevent, c_uint);
    cuEventDestroy_v2(CUevent);
    cuEventRecord(CUevent, CUstream);
    cuEventSynchronize(CUevent);
    cuGetErrorName(Code, *mut *const c_char);
    cuGetErrorString(Code, *mut *const c_char);
    cuGraphDestroy(CUgraph);
    cuGraphExecDestroy(CUgraphExec);
    cuGraphInstantiateWithFlags(*mut CUgraphExec, CUgraph, c_ulonglong);
    cuGraphLaunch(CUgraphExec, CUstream);
    cuLaunchKernel(
        CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream, *mut *mut c_void, *mut *mut c_void
    );
    cuMemAlloc_v2(*mut CUdeviceptr, usize);
    cuMemFreeHost(*mut c_void);
    cuMemFree_v2(CUdeviceptr);
    cuMemGetInfo_v2(*mut usize, *mut usize);
    cuMemHostAlloc(*mut *mut c_void, usize, c_uint);
    cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, usize, CUstream);
    cuMemcpyDtoHAsync_v2(*mut c_void, CUdeviceptr, usize, CUstream);
    cuMemcpyHtoDAsync_v2(CUdeviceptr, *const c_void, usize, CUstream);
    cuModuleGetFunction(*mut CUfunction, CUmodule, *const c_char);
    cuModuleLoadData(*mut CUmodule, *const c_void);
    cuStreamBeginCapture_v2(CUstream, c_int);
    cuStreamCreate(*mut CUstream, c_uint);
    cuStreamDestroy_v2(CUstream);
    cuStreamEndCapture(CUstream, *mut CUgraph);
    cuStreamSynchronize(CUstream);
    cuStreamWaitEvent(CUstream, CUevent, c_uint);
    cuThreadExchangeStreamCaptureMode(*mut c_int);
}

impl Driver {
    /// The driver of this process, opened and started by the first call that succeeds.
    pub(super) fn get() -> Result<&'static Self> {
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        if let Some(driver) = DRIVER.get() {
            return Ok(driver);
        }
        let driver = Self::open()?;
        Ok(DRIVER.get_or_init(|| driver))
    }

    /// How many GPUs are visible: at least one.
    pub(super) fn n_devices(&self) -> Result<usize> {
        let mut n_devices = 0;
        // SAFETY: the address is of a number that lives during the call.
        self.check("counting GPUs", unsafe { (self.calls.cuDeviceGetCount)(&raw mut n_devices) })?;
        if n_devices < 1 {
            return Err(DeviceError::NoDevice);
        }
        Ok(n_devices as usize)
    }

    /// The name of a GPU.
    pub(super) fn name(&self, device: CUdevice) -> Result<String> {
        let mut name = [0_u8; 256];
        // SAFETY: the call writes at most as many bytes as it is told, one less here so that the last stays zero.
        let code = unsafe { (self.calls.cuDeviceGetName)(name.as_mut_ptr().cast(), name.len() as c_int - 1, device) };
        self.check("asking for a name", code)?;
        Ok(one_line(&CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy()))
    }

    /// A number that a GPU says about itself.
    pub(super) fn attribute(&self, device: CUdevice, attribute: CUdevice_attribute) -> Result<u32> {
        let mut value = 0;
        // SAFETY: the address is of a number that lives during the call.
        let code = unsafe { (self.calls.cuDeviceGetAttribute)(&raw mut value, attribute as c_int, device) };
        self.check("asking for an attribute", code)?;
        Ok(value.unsigned_abs())
    }

    /// An error of a call that belongs to no device yet.
    pub(super) fn check(&self, action: &'static str, code: Code) -> Result<()> {
        if code == SUCCESS { Ok(()) } else { Err(call(action, self.text(code))) }
    }

    /// Name and meaning of an error.
    pub(super) fn text(&self, code: Code) -> String {
        let part = |get: unsafe extern "C" fn(Code, *mut *const c_char) -> Code| {
            let mut text = std::ptr::null();
            // SAFETY: the address is of a pointer that lives during the call.
            if unsafe { get(code, &raw mut text) } != SUCCESS || text.is_null() {
                return None;
            }
            // SAFETY: on success the pointer is to a constant of the driver that ends with a zero byte.
            Some(one_line(&unsafe { CStr::from_ptr(text) }.to_string_lossy()))
        };
        let Some(name) = part(self.calls.cuGetErrorName) else { return format!("error {code}") };
        match part(self.calls.cuGetErrorString) {
            Some(meaning) => format!("{name} ({meaning})"),
            None => name,
        }
    }

    fn open() -> Result<Self> {
        // SAFETY: the driver's library may be loaded at any time, from any thread.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|error| {
            // The loader's own words are the source of the error.
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            DeviceError::DriverMissing { why: one_line(&why) }
        })?;
        let library: &'static Library = Box::leak(Box::new(library));
        // SAFETY: CUresult cuInit(unsigned int flags)
        let init: unsafe extern "C" fn(c_uint) -> Code = unsafe { function(library, "cuInit")? };
        // SAFETY: CUresult cuDriverGetVersion(int*)
        let get_version: unsafe extern "C" fn(*mut c_int) -> Code = unsafe { function(library, "cuDriverGetVersion")? };
        // SAFETY: flags must be zero; the call may come at any time and any number of times.
        let started = unsafe { init(0) };
        if started == CUresult::CUDA_ERROR_NO_DEVICE as Code {
            return Err(DeviceError::NoDevice);
        }
        if started == CUresult::CUDA_ERROR_STUB_LIBRARY as Code {
            return Err(DeviceError::DriverMissing { why: format!("{LIBRARY} is the stub of a CUDA toolkit") });
        }
        let mut version = 0;
        // SAFETY: the address is of a number that lives during the call.
        let known = unsafe { get_version(&raw mut version) };
        let version = ((version / 1000).unsigned_abs(), (version % 1000 / 10).unsigned_abs());
        let is_running = started == SUCCESS && known == SUCCESS;
        // An old driver may lack functions, so its age is told before they are looked up.
        if is_running && version < Kernels::NEEDED_DRIVER {
            return Err(DeviceError::DriverTooOld { found: version, needed: Kernels::NEEDED_DRIVER });
        }
        let driver = Self { calls: Calls::load(library)?, version };
        driver.check("starting", started)?;
        driver.check("asking for its version", known)?;
        Ok(driver)
    }
}

/// # Safety
/// `T` is the type of the function.
unsafe fn function<T: Copy>(library: &Library, symbol: &str) -> Result<T> {
    // SAFETY: the caller vouches for the type.
    let found = unsafe { library.get::<T>(symbol.as_bytes()) };
    found.map(|function| *function).map_err(|_| call("opening it", format!("{LIBRARY} has no {symbol}")))
}

/// Text of others, which must not break the lines of an error.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn call(action: &'static str, what: String) -> DeviceError {
    DeviceError::Call { name: NAME.to_owned(), action, what }
}
