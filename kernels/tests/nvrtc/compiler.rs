//! NVRTC, opened at run time.
#![allow(unsafe_code, reason = "NVRTC is a C library, opened at run time")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW, Symbol};

type Program = *mut c_void;
type Create = unsafe extern "C" fn(
    *mut Program,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
    *const *const c_char,
) -> c_int;
type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Bytes = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;

/// The compiler of CUDA C++.
pub(crate) struct Compiler {
    nvrtc: Library,
    /// What NVRTC opens by its name alone; open for as long as the compiler is.
    _builtins: Library,
}

impl Compiler {
    /// Opens the library of that folder; panics where it cannot be.
    pub(crate) fn open(folder: &Path) -> Self {
        let open = |name: &str| {
            // SAFETY: both libraries are NVIDIA's, fetched by the workspace, and run no code on loading that others see.
            unsafe { Library::open(Some(folder.join(name)), RTLD_NOW | RTLD_GLOBAL) }.expect("the library opens")
        };
        let builtins = open("libnvrtc-builtins.so.13.0");
        Self { nvrtc: open("libnvrtc.so.13"), _builtins: builtins }
    }

    /// PTX for a virtual architecture such as `compute_80`, as text without its end.
    pub(crate) fn ptx(&self, source: &str, architecture: &str, options: &[&str]) -> Vec<u8> {
        let mut ptx = self.compile(source, architecture, options, ["nvrtcGetPTXSize", "nvrtcGetPTX"]);
        assert_eq!(ptx.pop(), Some(0));
        ptx
    }

    /// Machine code for an architecture such as `sm_80`.
    pub(crate) fn machine_code(&self, source: &str, architecture: &str, options: &[&str]) -> Vec<u8> {
        self.compile(source, architecture, options, ["nvrtcGetCUBINSize", "nvrtcGetCUBIN"])
    }

    /// The two `getters` give the size of the result and the result; panics with the log where nothing is compiled.
    fn compile(&self, source: &str, architecture: &str, options: &[&str], getters: [&str; 2]) -> Vec<u8> {
        let text = |text: &str| CString::new(text).expect("no zero inside");
        let (source, name) = (text(source), text("kernels.cu"));
        let architecture = text(&format!("--gpu-architecture={architecture}"));
        let options: Vec<CString> = options.iter().map(|option| text(option)).chain([architecture]).collect();
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program: Program = ptr::null_mut();
        // SAFETY: the signatures are those of nvrtc.h; the texts end in zero and outlive the calls, no header is passed.
        let status = unsafe {
            let create: Symbol<Create> = self.function("nvrtcCreateProgram");
            assert_eq!(create(&raw mut program, source.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null()), 0);
            let compile: Symbol<Compile> = self.function("nvrtcCompileProgram");
            compile(program, options.len() as c_int, options.as_ptr())
        };
        let log = self.read(program, ["nvrtcGetProgramLogSize", "nvrtcGetProgramLog"]);
        assert_eq!(status, 0, "{}", String::from_utf8_lossy(&log));
        assert!(log.len() <= 1, "warnings: {}", String::from_utf8_lossy(&log));
        let result = self.read(program, getters);
        // SAFETY: the program is one of this library and is not used again.
        unsafe {
            let destroy: Symbol<Destroy> = self.function("nvrtcDestroyProgram");
            assert_eq!(destroy(&raw mut program), 0);
        }
        result
    }

    fn read(&self, program: Program, [size_of, bytes_of]: [&str; 2]) -> Vec<u8> {
        let mut n_bytes = 0_usize;
        // SAFETY: the signatures are those of nvrtc.h; the second function writes as many bytes as the first one gives.
        unsafe {
            let size: Symbol<Size> = self.function(size_of);
            assert_eq!(size(program, &raw mut n_bytes), 0);
            let mut bytes = vec![0_u8; n_bytes];
            let copy: Symbol<Bytes> = self.function(bytes_of);
            assert_eq!(copy(program, bytes.as_mut_ptr().cast()), 0);
            bytes
        }
    }

    /// # Safety
    /// `T` must be the function's type.
    unsafe fn function<T>(&self, name: &str) -> Symbol<T> {
        // SAFETY: as the caller promises.
        unsafe { self.nvrtc.get(name) }.expect("NVRTC has the function")
    }
}
