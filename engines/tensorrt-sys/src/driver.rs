#![allow(unsafe_code, reason = "the CUDA driver is a C library, opened at run time")]

use crate::{Result, SysError};
use libloading::Library;
use std::ffi::{CStr, c_char, c_int, c_void};

const DRIVER: &str = "libcuda.so.1";

const CUDA_SUCCESS: c_int = 0;
const CUDA_ERROR_NO_DEVICE: c_int = 100;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: c_int = 75;
const CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: c_int = 76;

/// An NVIDIA driver that works and has a device. Whatever would crash without one takes it.
#[derive(Debug, Clone)]
pub struct Driver {
    version: (u32, u32),
    devices: Vec<Device>,
    /// None where a test pretends to have a driver.
    library: Option<&'static Library>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Place among the visible devices.
    pub index: usize,
    /// Name, such as "NVIDIA H100 80GB HBM3".
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Memory in bytes.
    pub total_memory_bytes: u64,
}

impl Driver {
    /// Starts the driver.
    ///
    /// # Errors
    /// [`SysError::DriverMissing`] without `libcuda.so.1`, [`SysError::DriverBroken`] if it does not start, and
    /// [`SysError::NoDevice`] if it finds no GPU.
    pub fn open() -> Result<Self> {
        Self::open_library(DRIVER)
    }

    /// Newest CUDA version that the driver supports, major and minor.
    pub fn cuda_version(&self) -> (u32, u32) {
        self.version
    }

    /// The visible devices: at least one. TensorRT builds for the first unless the caller makes another current.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The primary context of the visible device of that ordinal, which everything in this process shares. It is kept
    /// for the life of the process.
    pub(crate) fn context(&self, ordinal: usize) -> Result<DeviceContext> {
        let Some(library) = self.library else { return Ok(DeviceContext { current: None }) };
        if ordinal >= self.devices.len() {
            let what = format!("there is no device {ordinal} among {}", self.devices.len());
            return Err(SysError::DriverBroken { what });
        }
        Calls { library }.primary_context(ordinal as c_int)
    }

    /// What a test of this crate says to have.
    #[cfg(all(test, feature = "shim"))]
    pub(crate) fn pretended() -> Self {
        Self { version: (13, 0), devices: Vec::new(), library: None }
    }

    fn open_library(name: &str) -> Result<Self> {
        // SAFETY: the driver's library may be loaded at any time, from any thread.
        let library = unsafe { Library::new(name) }
            .map_err(|error| SysError::DriverMissing { why: crate::library::one_line(&error) })?;
        // The driver keeps threads of its own: it is never closed.
        let library: &'static Library = Box::leak(Box::new(library));
        let cuda = Calls { library };
        cuda.init()?;
        let version = cuda.number(c"cuDriverGetVersion")?;
        let n_devices = cuda.number(c"cuDeviceGetCount")?;
        if n_devices < 1 {
            return Err(SysError::NoDevice);
        }
        let devices = (0..n_devices).map(|index| cuda.device(index)).collect::<Result<_>>()?;
        let version = ((version / 1000).unsigned_abs(), (version % 1000 / 10).unsigned_abs());
        Ok(Self { version, devices, library: Some(library) })
    }
}

/// The context of a device. TensorRT works on the device whose context is current in the calling thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceContext {
    current: Option<(Calls, ContextHandle)>,
}

impl DeviceContext {
    /// Makes it the one of this thread.
    pub(crate) fn make_current(&self) -> Result<()> {
        let Some((calls, handle)) = &self.current else { return Ok(()) };
        let symbol = c"cuCtxSetCurrent";
        // SAFETY: CUresult cuCtxSetCurrent(CUcontext), where CUcontext is a pointer
        let set: unsafe extern "C" fn(*mut c_void) -> c_int = unsafe { calls.get(symbol)? };
        // SAFETY: the context is retained and never released.
        calls.check(symbol, unsafe { set(handle.0) })
    }
}

/// A `CUcontext`.
#[derive(Debug, Clone, Copy)]
struct ContextHandle(*mut c_void);

// SAFETY: a context may be made current in any thread, in several at once.
unsafe impl Send for ContextHandle {}
// SAFETY: as above; the handle itself never changes.
unsafe impl Sync for ContextHandle {}

#[derive(Debug, Clone, Copy)]
struct Calls {
    library: &'static Library,
}

impl Calls {
    /// # Safety
    /// `T` is the type of the function.
    unsafe fn get<T: Copy>(self, symbol: &CStr) -> Result<T> {
        // SAFETY: the caller vouches for the type.
        let found = unsafe { self.library.get::<T>(symbol.to_bytes_with_nul()) };
        let name = symbol.to_string_lossy();
        found.map(|call| *call).map_err(|_| SysError::DriverBroken { what: format!("{DRIVER} has no {name}") })
    }

    fn init(self) -> Result<()> {
        // SAFETY: CUresult cuInit(unsigned int flags)
        let call: unsafe extern "C" fn(u32) -> c_int = unsafe { self.get(c"cuInit")? };
        // SAFETY: flags must be zero; the call may come at any time.
        match unsafe { call(0) } {
            CUDA_ERROR_NO_DEVICE => Err(SysError::NoDevice),
            code => self.check(c"cuInit", code),
        }
    }

    /// Calls a function that gives one number.
    fn number(self, symbol: &CStr) -> Result<c_int> {
        // SAFETY: CUresult cuDriverGetVersion(int*), CUresult cuDeviceGetCount(int*)
        let call: unsafe extern "C" fn(*mut c_int) -> c_int = unsafe { self.get(symbol)? };
        let mut number = 0;
        // SAFETY: the address is of a number that lives during the call.
        let code = unsafe { call(&raw mut number) };
        self.check(symbol, code)?;
        Ok(number)
    }

    fn device(self, index: c_int) -> Result<Device> {
        // SAFETY: CUresult cuDeviceGet(CUdevice*, int ordinal), where CUdevice is int
        let get: unsafe extern "C" fn(*mut c_int, c_int) -> c_int = unsafe { self.get(c"cuDeviceGet")? };
        let mut device = 0;
        // SAFETY: the driver is started, and the address is of a number that lives during the call.
        self.check(c"cuDeviceGet", unsafe { get(&raw mut device, index) })?;

        // SAFETY: CUresult cuDeviceGetName(char*, int length, CUdevice)
        let get: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int = unsafe { self.get(c"cuDeviceGetName")? };
        let mut name = [0_u8; 256];
        // SAFETY: the call writes at most as many bytes as it is told, one less here so that the last stays zero.
        let code = unsafe { get(name.as_mut_ptr().cast(), name.len() as c_int - 1, device) };
        self.check(c"cuDeviceGetName", code)?;

        // SAFETY: CUresult cuDeviceTotalMem_v2(size_t*, CUdevice)
        let get: unsafe extern "C" fn(*mut usize, c_int) -> c_int = unsafe { self.get(c"cuDeviceTotalMem_v2")? };
        let mut total_memory_bytes = 0;
        // SAFETY: the address is of a number that lives during the call.
        self.check(c"cuDeviceTotalMem_v2", unsafe { get(&raw mut total_memory_bytes, device) })?;

        let name = CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned();
        let major = self.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device)?;
        let minor = self.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device)?;
        Ok(Device {
            index: index as usize,
            name,
            compute_capability: (major, minor),
            total_memory_bytes: total_memory_bytes as u64,
        })
    }

    fn primary_context(self, index: c_int) -> Result<DeviceContext> {
        // SAFETY: CUresult cuDeviceGet(CUdevice*, int ordinal), where CUdevice is int
        let get: unsafe extern "C" fn(*mut c_int, c_int) -> c_int = unsafe { self.get(c"cuDeviceGet")? };
        let mut device = 0;
        // SAFETY: the driver is started, and the address is of a number that lives during the call.
        self.check(c"cuDeviceGet", unsafe { get(&raw mut device, index) })?;

        let symbol = c"cuDevicePrimaryCtxRetain";
        // SAFETY: CUresult cuDevicePrimaryCtxRetain(CUcontext*, CUdevice), where CUcontext is a pointer
        let retain: unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int = unsafe { self.get(symbol)? };
        let mut context = std::ptr::null_mut();
        // SAFETY: the driver is started, and the address is of a pointer that lives during the call.
        self.check(symbol, unsafe { retain(&raw mut context, device) })?;
        Ok(DeviceContext { current: Some((self, ContextHandle(context))) })
    }

    fn attribute(self, attribute: c_int, device: c_int) -> Result<u32> {
        // SAFETY: CUresult cuDeviceGetAttribute(int*, CUdevice_attribute, CUdevice), where the enum is an int
        let get: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int =
            unsafe { self.get(c"cuDeviceGetAttribute")? };
        let mut value = 0;
        // SAFETY: the address is of a number that lives during the call.
        self.check(c"cuDeviceGetAttribute", unsafe { get(&raw mut value, attribute, device) })?;
        Ok(value.unsigned_abs())
    }

    fn check(self, symbol: &CStr, code: c_int) -> Result<()> {
        if code == CUDA_SUCCESS {
            return Ok(());
        }
        let name = self.error_name(code).unwrap_or_else(|| format!("error {code}"));
        Err(SysError::DriverBroken { what: format!("{} gives {name}", symbol.to_string_lossy()) })
    }

    fn error_name(self, code: c_int) -> Option<String> {
        // SAFETY: CUresult cuGetErrorName(CUresult, const char**)
        let get: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int =
            unsafe { self.get(c"cuGetErrorName").ok()? };
        let mut name = std::ptr::null();
        // SAFETY: the address is of a pointer that lives during the call.
        let known = unsafe { get(code, &raw mut name) } == CUDA_SUCCESS;
        // SAFETY: on success the pointer is to a constant of the driver that ends with a zero byte.
        if known { unsafe { crate::ffi::text(name) } } else { None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use std::process::Command;

    const DEVICES: &str = "
        int cuDriverGetVersion(int* version) { *version = 13020; return 0; }
        int cuDeviceGetCount(int* count) { *count = 2; return 0; }
        int cuDeviceGet(int* device, int ordinal) { *device = 10 + ordinal; return 0; }
        int cuDeviceGetName(char* name, int length, int device) {
            for (int i = 0; i < length; ++i) name[i] = 'x';
            return 0;
        }
        int cuDeviceTotalMem_v2(unsigned long* bytes, int device) { *bytes = 1ul << 40; return 0; }
        int cuDeviceGetAttribute(int* value, int attribute, int device) {
            *value = attribute == 75 ? device - 2 : 6;
            return 0;
        }
        int cuGetErrorName(int code, const char** name) { *name = \"CUDA_ERROR_UNKNOWN\"; return code != 999; }
    ";

    /// A driver whose `cuInit` gives that.
    fn open(init: &str, rest: &str) -> Result<Driver> {
        let folder = tempfile::tempdir().unwrap();
        let (code, library) = (folder.path().join("driver.c"), folder.path().join("libcuda.so.1"));
        std::fs::write(&code, format!("int cuInit(unsigned flags) {{ {init} }}\n{rest}")).unwrap();
        let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status().unwrap();
        assert!(status.success());
        Driver::open_library(library.to_str().unwrap())
    }

    #[test]
    fn devices_are_listed() {
        let driver = open("return flags;", DEVICES).unwrap();
        assert_eq!(driver.cuda_version(), (13, 2));
        assert_eq!(driver.devices().len(), 2);
        let device = &driver.devices()[1];
        assert_eq!((device.index, device.compute_capability, device.total_memory_bytes), (1, (9, 6), 1 << 40));
        assert_eq!(device.name, "x".repeat(255));
    }

    #[test]
    fn every_way_to_have_no_gpu_is_an_error_of_its_own() {
        let missing = Driver::open_library("/nowhere/libcuda.so.1").unwrap_err();
        assert!(matches!(missing, SysError::DriverMissing { .. }), "{missing}");
        let broken = open("return 999;", DEVICES).unwrap_err();
        assert!(broken.to_string().contains("cuInit gives CUDA_ERROR_UNKNOWN\n"), "{broken}");
        let unnamed = open("return 35;", DEVICES).unwrap_err();
        assert!(unnamed.to_string().contains("cuInit gives error 35\n"), "{unnamed}");
        assert!(matches!(open("return 100;", DEVICES), Err(SysError::NoDevice)));
        let none = DEVICES.replace("*count = 2", "*count = 0");
        assert!(matches!(open("return 0;", &none), Err(SysError::NoDevice)));
        let lacking = open("return 0;", "").unwrap_err();
        assert!(lacking.to_string().contains("libcuda.so.1 has no cuDriverGetVersion\n"), "{lacking}");
        for error in [missing, broken, unnamed, lacking, SysError::NoDevice] {
            assert_eq!(error.to_string().lines().count(), 2);
        }
    }
}
