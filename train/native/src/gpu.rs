#![allow(unsafe_code, reason = "the part for GPUs is a library that is opened while the program runs")]

use crate::ffi::{self, Failure};
use crate::store::millis;
use crate::{NativeError, ProcessGroup, Result, Store};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, c_char};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::time::Duration;
use tch::Device;

const MEND: &str =
    "make the file by \"cargo xtask setup --torch-cuda SITE-PACKAGES\", and keep the torch that it was made with";

/// A GPU that libtorch computes on.
///
/// The program links libtorch's part for processors only. The part for CUDA comes with the shim's own shared object, which
/// `cargo xtask setup --torch-cuda` makes and [`Gpu::open`] opens; it is never closed.
#[derive(Clone, Copy, Debug)]
pub struct Gpu {
    index: usize,
    functions: Functions,
}

type Interface = unsafe extern "C" fn() -> *const c_char;
type CountDevices = unsafe extern "C" fn(*mut Failure) -> i32;
type UseDevice = unsafe extern "C" fn(i32, *mut Failure);
type Join = unsafe extern "C" fn(*mut ffi::Group, *const ffi::Store, i32, i64, *mut Failure);

/// What `shim/cuda.h` declares.
#[derive(Clone, Copy, Debug)]
struct Functions {
    count_devices: CountDevices,
    use_device: UseDevice,
    join: Join,
}

impl Gpu {
    /// Opens the shared object at `library` and takes the GPU of this index. Comes before libtorch is asked anything about
    /// CUDA, which it answers once and for all.
    ///
    /// # Errors
    /// The file, or what it links, is not there or is not what it should be; no driver; no GPU, or none of this index.
    pub fn open(library: &Path, index: usize) -> Result<Self> {
        let functions = Functions::open(library)?;
        let n_devices = ffi::checked("look for a GPU", |failure| {
            // SAFETY: the failure outlives the call.
            unsafe { (functions.count_devices)(failure) }
        });
        let n_devices = n_devices.map_err(NativeError::without_gpu)?;
        let number = i32::try_from(index).ok().filter(|number| *number < n_devices);
        let number = number.ok_or_else(|| NativeError::Gpu {
            what: format!("there is no GPU {index}: this machine has {n_devices}"),
            mend: "count GPUs from 0, and start no more processes than there are GPUs",
        })?;
        ffi::checked("use a GPU", |failure| {
            // SAFETY: the failure outlives the call.
            unsafe { (functions.use_device)(number, failure) }
        })?;
        Ok(Self { index, functions })
    }

    /// As `tch` calls it.
    pub fn device(&self) -> Device {
        Device::Cuda(self.index)
    }

    /// Lets a group exchange tensors of GPUs by NCCL.
    pub(crate) fn join(&self, group: &ProcessGroup, store: &Store, timeout: Duration) -> Result<()> {
        let (group, store, index) = (group.as_ptr(), store.as_ptr(), self.index as i32);
        let joined = ffi::checked("make a group of GPUs", |failure| {
            // SAFETY: group and store are the shim's objects and outlive the call; the index was checked.
            unsafe { (self.functions.join)(group, store, index, millis(timeout), failure) }
        });
        joined.map_err(NativeError::before_group)
    }
}

impl Functions {
    fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        if !path.is_file() {
            let what = format!("libtorch's part for GPUs is not there: {shown} is no file");
            return Err(NativeError::Gpu { what, mend: MEND });
        }
        // SAFETY: the user names a library to run, whose constructors are libtorch's.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| NativeError::Gpu {
            what: format!("libtorch's part for GPUs cannot be opened: {}", said(&error)),
            mend: MEND,
        })?;
        // libtorch registers functions that must stay.
        let library = ManuallyDrop::new(library);
        // SAFETY: the function has this type in every shim.
        let interface = unsafe { symbol::<Interface>(&library, path, c"egom2p_torch_cuda_interface") }?;
        // SAFETY: it gives a text that is never freed.
        let interface = unsafe { CStr::from_ptr(interface()) };
        // SAFETY: as is this one.
        let expected = unsafe { CStr::from_ptr(ffi::egom2p_torch_interface()) };
        if interface != expected {
            let [got, expected] = [interface, expected].map(CStr::to_string_lossy);
            let what = format!("{shown} is for libtorch {got}, expected {expected}");
            return Err(NativeError::Gpu { what, mend: MEND });
        }
        // SAFETY: a shim of this interface has functions of these types.
        unsafe {
            Ok(Self {
                count_devices: symbol(&library, path, c"egom2p_torch_cuda_devices")?,
                use_device: symbol(&library, path, c"egom2p_torch_cuda_use")?,
                join: symbol(&library, path, c"egom2p_torch_cuda_join")?,
            })
        }
    }
}

/// A function of an opened shim.
///
/// # Safety
/// The function has the type `T`.
unsafe fn symbol<T: Copy>(library: &Library, path: &Path, name: &CStr) -> Result<T> {
    // SAFETY: the caller knows the type; the library is never closed.
    let found = unsafe { library.get::<T>(name.to_bytes_with_nul()) };
    let found = found.map_err(|_| NativeError::Gpu {
        what: format!("{} is not libtorch's part for GPUs: it has no {}", path.display(), name.to_string_lossy()),
        mend: MEND,
    })?;
    Ok(*found)
}

/// What the loader said, in one line.
fn said(error: &libloading::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string()).lines().collect::<Vec<_>>().join(" ")
}
