//! The C interface of the shim, as `shim/abi.h` declares it: both files change together.

#![allow(unsafe_code, reason = "the shim is C++: its functions can only be called through a foreign interface")]

use std::ffi::{CStr, c_char, c_void};

pub(crate) const MAX_DIMS: usize = 8;
pub(crate) const FAILURE_BYTES: usize = 256;

pub(crate) const FAILURE_NONE: i32 = 0;
pub(crate) const FAILURE_REFUSED: i32 = 1;
pub(crate) const FAILURE_OUT_OF_MEMORY: i32 = 2;
pub(crate) const FAILURE_EXCEPTION: i32 = 3;
pub(crate) const FAILURE_PARSER: i32 = 4;

/// Why a function of the table gave nothing; `what` names the call of TensorRT.
#[repr(C)]
pub(crate) struct Failure {
    pub(crate) kind: i32,
    pub(crate) what: [c_char; FAILURE_BYTES],
}

impl Failure {
    pub(crate) fn none() -> Self {
        Self { kind: FAILURE_NONE, what: [0; FAILURE_BYTES] }
    }

    pub(crate) fn what(&self) -> String {
        let bytes: Vec<u8> = self.what.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[repr(C)]
pub(crate) struct Named {
    name: *const c_char,
    value: i32,
}

/// The enumerators of one enum of the headers.
#[repr(C)]
pub(crate) struct NamedList {
    items: *const Named,
    n_items: usize,
}

impl NamedList {
    /// Names and values, in the order of the headers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, i32)> + use<'_> {
        let items = if self.items.is_null() {
            &[]
        } else {
            // SAFETY: the shim's lists are arrays with static lifetime of that many entries.
            unsafe { std::slice::from_raw_parts(self.items, self.n_items) }
        };
        items.iter().map(|item| {
            // SAFETY: the names are string literals of the shim.
            let name = unsafe { CStr::from_ptr(item.name) };
            (name.to_str().unwrap_or_default(), item.value)
        })
    }

    pub(crate) fn value(&self, name: &str) -> Option<i32> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(crate) fn name(&self, value: i32) -> Option<&'static str> {
        self.iter().find(|(_, known)| *known == value).map(|(name, _)| name)
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.iter().map(|(name, _)| name).collect()
    }
}

/// An exported function of a library, of whatever signature.
pub(crate) type EntryPoint = unsafe extern "C" fn();

/// Entry points of the opened libraries.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Entries {
    pub(crate) builder: EntryPoint,
    pub(crate) runtime: EntryPoint,
    pub(crate) parser: EntryPoint,
}

#[repr(C)]
pub(crate) struct Log {
    pub(crate) user: *mut c_void,
    pub(crate) write: unsafe extern "C" fn(*mut c_void, i32, *const c_char),
}

#[repr(C)]
pub(crate) struct Tensor {
    pub(crate) name: *const c_char,
    pub(crate) element_type: i32,
    pub(crate) n_dims: i32,
    pub(crate) dims: [i64; MAX_DIMS],
    pub(crate) dim_names: [*const c_char; MAX_DIMS],
}

#[repr(C)]
pub(crate) struct Layer {
    pub(crate) name: *const c_char,
    pub(crate) metadata: *const c_char,
    pub(crate) kind: i32,
    pub(crate) n_outputs: i32,
}

#[repr(C)]
pub(crate) struct NetworkVisitor {
    pub(crate) user: *mut c_void,
    pub(crate) input: unsafe extern "C" fn(*mut c_void, *const Tensor),
    pub(crate) output: unsafe extern "C" fn(*mut c_void, *const Tensor),
}

#[repr(C)]
pub(crate) struct LayerVisitor {
    pub(crate) user: *mut c_void,
    pub(crate) layer: unsafe extern "C" fn(*mut c_void, *const Layer),
    pub(crate) output: unsafe extern "C" fn(*mut c_void, *const Tensor),
}

#[repr(C)]
pub(crate) struct ParserIssue {
    pub(crate) node: *const c_char,
    pub(crate) op_type: *const c_char,
    pub(crate) file: *const c_char,
    pub(crate) function: *const c_char,
    pub(crate) text: *const c_char,
    pub(crate) line: i32,
    pub(crate) code: i32,
}

#[repr(C)]
pub(crate) struct ParserVisitor {
    pub(crate) user: *mut c_void,
    pub(crate) issue: unsafe extern "C" fn(*mut c_void, *const ParserIssue),
}

#[repr(C)]
pub(crate) struct Range {
    pub(crate) input: *const c_char,
    pub(crate) profile: u32,
    pub(crate) n_dims: i32,
    pub(crate) min: [i64; MAX_DIMS],
    pub(crate) opt: [i64; MAX_DIMS],
    pub(crate) max: [i64; MAX_DIMS],
}

#[repr(C)]
pub(crate) struct Progress {
    pub(crate) user: *mut c_void,
    pub(crate) phase_start: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, i32),
    pub(crate) step: unsafe extern "C" fn(*mut c_void, *const c_char, i32) -> i32,
    pub(crate) phase_finish: unsafe extern "C" fn(*mut c_void, *const c_char),
}

/// A negative number leaves TensorRT's default.
#[repr(C)]
pub(crate) struct BuildRequest {
    pub(crate) set_flags: *const i32,
    pub(crate) n_set_flags: usize,
    pub(crate) cleared_flags: *const i32,
    pub(crate) n_cleared_flags: usize,
    pub(crate) ranges: *const Range,
    pub(crate) n_ranges: usize,
    pub(crate) compute_capabilities: *const i32,
    pub(crate) n_compute_capabilities: usize,
    pub(crate) timing_cache: *const u8,
    pub(crate) timing_cache_bytes: usize,
    pub(crate) workspace_bytes: i64,
    pub(crate) n_profiles: u32,
    pub(crate) use_timing_cache: i32,
    pub(crate) optimization_level: i32,
    pub(crate) max_threads: i32,
    pub(crate) hardware_level: i32,
    pub(crate) detailed_layers: i32,
    pub(crate) progress: Progress,
}

/// Memory of the library; null where there is none.
#[repr(C)]
pub(crate) struct HostMemory {
    pub(crate) owner: *mut c_void,
    pub(crate) data: *const c_void,
    pub(crate) n_bytes: usize,
}

impl HostMemory {
    pub(crate) fn none() -> Self {
        Self { owner: std::ptr::null_mut(), data: std::ptr::null(), n_bytes: 0 }
    }
}

#[repr(C)]
pub(crate) struct BuildResult {
    pub(crate) engine: HostMemory,
    pub(crate) timing_cache: HostMemory,
}

#[repr(C)]
pub(crate) struct EngineFacts {
    pub(crate) name: *const c_char,
    pub(crate) layers_json: *const c_char,
    pub(crate) n_layers: i32,
    pub(crate) n_profiles: i32,
    pub(crate) hardware_level: i32,
    pub(crate) is_refittable: i32,
}

#[repr(C)]
pub(crate) struct EngineVisitor {
    pub(crate) user: *mut c_void,
    pub(crate) facts: unsafe extern "C" fn(*mut c_void, *const EngineFacts),
    pub(crate) profile: unsafe extern "C" fn(*mut c_void, i64),
    pub(crate) tensor: unsafe extern "C" fn(*mut c_void, *const Tensor, i32),
    pub(crate) range: unsafe extern "C" fn(*mut c_void, *const Range),
}

/// A tensor of an engine in a run.
#[repr(C)]
pub(crate) struct Binding {
    pub(crate) name: *const c_char,
    pub(crate) address: *mut c_void,
    pub(crate) n_dims: i32,
    pub(crate) dims: [i64; MAX_DIMS],
}

/// What a run works on.
#[repr(C)]
pub(crate) struct Run {
    pub(crate) inputs: *const Binding,
    pub(crate) n_inputs: usize,
    pub(crate) outputs: *const Binding,
    pub(crate) n_outputs: usize,
    pub(crate) scratch: *mut c_void,
    pub(crate) scratch_bytes: i64,
    pub(crate) profile: i32,
    pub(crate) choose_profile: i32,
    pub(crate) stream: *mut c_void,
}

/// Kernels that an engine compiled for its device in an earlier process.
#[repr(C)]
pub(crate) struct KernelCache {
    pub(crate) data: *const c_void,
    pub(crate) n_bytes: usize,
}

/// The shim's builder, network and parser.
#[repr(C)]
pub(crate) struct Network {
    _opaque: [u8; 0],
}

/// The shim's runtime and engine.
#[repr(C)]
pub(crate) struct LoadedEngine {
    _opaque: [u8; 0],
}

/// An execution context of TensorRT.
#[repr(C)]
pub(crate) struct Context {
    _opaque: [u8; 0],
}

/// Everything that one shim does.
#[repr(C)]
pub(crate) struct Table {
    pub(crate) headers: [i32; 3],
    pub(crate) builder_flags: NamedList,
    pub(crate) compute_capabilities: NamedList,
    pub(crate) hardware_levels: NamedList,
    pub(crate) element_types: NamedList,
    pub(crate) layer_types: NamedList,
    pub(crate) parser_codes: NamedList,
    pub(crate) parse: unsafe extern "C" fn(
        *const Entries,
        *const Log,
        *const c_char,
        *const ParserVisitor,
        *mut Failure,
    ) -> *mut Network,
    pub(crate) visit_network: unsafe extern "C" fn(*mut Network, *const NetworkVisitor, *mut Failure),
    pub(crate) visit_layers: unsafe extern "C" fn(*mut Network, *const LayerVisitor, *mut Failure),
    pub(crate) build: unsafe extern "C" fn(*mut Network, *const BuildRequest, *mut BuildResult, *mut Failure),
    pub(crate) free_network: unsafe extern "C" fn(*mut Network),
    pub(crate) free_bytes: unsafe extern "C" fn(*mut c_void),
    pub(crate) load: unsafe extern "C" fn(
        *const Entries,
        *const Log,
        *const c_void,
        usize,
        *const KernelCache,
        *mut Failure,
    ) -> *mut LoadedEngine,
    pub(crate) visit_engine: unsafe extern "C" fn(*mut LoadedEngine, *const EngineVisitor, *mut Failure),
    pub(crate) kernel_cache: unsafe extern "C" fn(*mut LoadedEngine, *mut HostMemory, *mut Failure),
    pub(crate) free_engine: unsafe extern "C" fn(*mut LoadedEngine),
    pub(crate) create_context: unsafe extern "C" fn(*mut LoadedEngine, *mut Failure) -> *mut Context,
    pub(crate) prepare: unsafe extern "C" fn(*mut Context, *const Run, *mut Failure),
    pub(crate) enqueue: unsafe extern "C" fn(*mut Context, *mut c_void, *mut Failure),
    pub(crate) is_capturable: unsafe extern "C" fn(*mut Context, *mut c_void, *mut Failure) -> i32,
    pub(crate) free_context: unsafe extern "C" fn(*mut Context),
}

// SAFETY: a table is a constant of the shim: nothing in it or behind its pointers is ever written.
unsafe impl Sync for Table {}

/// Declares how to get the table of one shim: `None` where it is not compiled in.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $compiled:ident, $symbol:ident) => {
        $(#[$doc])*
        #[cfg($compiled)]
        pub(crate) fn $name() -> Option<&'static Table> {
            unsafe extern "C" {
                fn $symbol() -> *const Table;
            }
            // SAFETY: the function gives the address of a constant of the shim, which is laid out as `Table`.
            unsafe { $symbol().as_ref() }
        }

        $(#[$doc])*
        #[cfg(not($compiled))]
        pub(crate) fn $name() -> Option<&'static Table> {
            None
        }
    };
}

table!(
    /// The table of the shim for TensorRT-RTX 1.
    rtx, egom2p_trt_rtx, egom2p_trt_rtx_table
);
table!(
    /// The table of the shim for TensorRT 10.
    trt10, egom2p_trt10, egom2p_trt10_table
);
table!(
    /// The table of the shim for TensorRT 11.
    trt11, egom2p_trt11, egom2p_trt11_table
);

/// Copies text of the shim; nothing where it is null or empty.
///
/// # Safety
/// `text` is null or ends with a zero byte.
pub(crate) unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller vouches that the text ends with a zero byte.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
}
