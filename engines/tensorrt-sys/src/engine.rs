#![allow(unsafe_code, reason = "an engine is an object of the shim")]

use crate::library::check;
use crate::log::LogRelay;
use crate::settings::InputRange;
use crate::{ElementType, Result, ffi};
use std::ffi::c_void;
use std::ptr::NonNull;

/// What an engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineDescription {
    /// Name of the network.
    pub name: String,
    /// Inputs and outputs, in the engine's order.
    pub tensors: Vec<EngineTensor>,
    /// Optimisation profiles; an engine without dynamic inputs has one, too.
    pub profiles: Vec<EngineProfile>,
    /// Number of layers after fusion.
    pub n_layers: usize,
    /// Layers as TensorRT's inspector gives them, JSON; only names unless the engine was built with detailed layers.
    pub layers_json: String,
    /// Name of the level of hardware compatibility, such as `kNONE`.
    pub hardware_compatibility: String,
    /// Whether weights can be replaced.
    pub is_refittable: bool,
}

/// A tensor of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTensor {
    /// Name in the ONNX file.
    pub name: String,
    /// Type of the elements.
    pub dtype: ElementType,
    /// Dimensions, outermost first; `None` where profiles bound them.
    pub dims: Vec<Option<i64>>,
    /// Input or output.
    pub mode: TensorMode,
}

/// Which way a tensor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorMode {
    /// Into the engine.
    Input,
    /// Out of it.
    Output,
}

/// An optimisation profile of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineProfile {
    /// Shapes of every input.
    pub ranges: Vec<InputRange>,
    /// Device memory that an execution context takes, in bytes.
    pub device_memory_bytes: u64,
}

impl EngineDescription {
    /// # Safety
    /// The engine is of the table's shim, and alive.
    pub(crate) unsafe fn of(
        table: &'static ffi::Table,
        engine: NonNull<ffi::LoadedEngine>,
        relay: &LogRelay,
    ) -> Result<Self> {
        let description = Self {
            name: String::new(),
            tensors: Vec::new(),
            profiles: Vec::new(),
            n_layers: 0,
            layers_json: String::new(),
            hardware_compatibility: String::new(),
            is_refittable: false,
        };
        let mut seen = Seen { table, description };
        let visitor = ffi::EngineVisitor {
            user: (&raw mut seen).cast(),
            facts: on_facts,
            profile: on_profile,
            tensor: on_tensor,
            range: on_range,
        };
        let mut failure = ffi::Failure::none();
        // SAFETY: the caller vouches for the engine, and the visitor's functions take what `user` points to.
        unsafe { (table.visit_engine)(engine.as_ptr(), &raw const visitor, &raw mut failure) };
        check(&failure, relay)?;
        Ok(seen.description)
    }
}

struct Seen {
    table: &'static ffi::Table,
    description: EngineDescription,
}

unsafe extern "C" fn on_facts(user: *mut c_void, facts: *const ffi::EngineFacts) {
    // SAFETY: the shim hands back `user`, which is a `Seen`, with facts that are valid during the call.
    unsafe {
        let (seen, facts) = (&mut *user.cast::<Seen>(), &*facts);
        let level = seen.table.hardware_levels.name(facts.hardware_level);
        let description = &mut seen.description;
        description.name = ffi::text(facts.name).unwrap_or_default();
        description.layers_json = ffi::text(facts.layers_json).unwrap_or_default();
        description.n_layers = facts.n_layers.max(0) as usize;
        description.hardware_compatibility = level.map_or_else(|| facts.hardware_level.to_string(), str::to_owned);
        description.is_refittable = facts.is_refittable != 0;
    }
}

unsafe extern "C" fn on_profile(user: *mut c_void, device_memory_bytes: i64) {
    // SAFETY: the shim hands back `user`, which is a `Seen`.
    let seen = unsafe { &mut *user.cast::<Seen>() };
    let device_memory_bytes = device_memory_bytes.max(0).cast_unsigned();
    seen.description.profiles.push(EngineProfile { ranges: Vec::new(), device_memory_bytes });
}

unsafe extern "C" fn on_tensor(user: *mut c_void, tensor: *const ffi::Tensor, is_input: i32) {
    // SAFETY: the shim hands back `user`, which is a `Seen`, with a tensor that is valid during the call.
    unsafe {
        let (seen, tensor) = (&mut *user.cast::<Seen>(), &*tensor);
        let n_dims = usize::try_from(tensor.n_dims).unwrap_or(0).min(ffi::MAX_DIMS);
        seen.description.tensors.push(EngineTensor {
            name: ffi::text(tensor.name).unwrap_or_default(),
            dtype: ElementType::of(tensor.element_type, seen.table),
            dims: tensor.dims[..n_dims].iter().map(|size| Some(*size).filter(|size| *size >= 0)).collect(),
            mode: if is_input == 0 { TensorMode::Output } else { TensorMode::Input },
        });
    }
}

unsafe extern "C" fn on_range(user: *mut c_void, range: *const ffi::Range) {
    // SAFETY: the shim hands back `user`, which is a `Seen`, with a range that is valid during the call.
    unsafe {
        let (seen, range) = (&mut *user.cast::<Seen>(), &*range);
        let n_dims = usize::try_from(range.n_dims).unwrap_or(0).min(ffi::MAX_DIMS);
        let input = ffi::text(range.input).unwrap_or_default();
        let [min, opt, max] = [&range.min, &range.opt, &range.max].map(|dims| dims[..n_dims].to_vec());
        if let Some(profile) = seen.description.profiles.get_mut(range.profile as usize) {
            profile.ranges.push(InputRange { input, min, opt, max });
        }
    }
}

#[cfg(all(test, feature = "shim"))]
#[allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests panic where they fail, and say that they cannot run"
)]
mod tests {
    use crate::{Abi, Driver, Family, Library, LogSink, Severity, SysError};
    use std::path::Path;
    use std::sync::Arc;

    struct Nowhere;

    impl LogSink for Nowhere {
        fn log(&self, _: Severity, _: &str) {}
    }

    /// Of the supported libraries, TensorRT-RTX alone does not crash without a driver: it refuses every engine.
    #[test]
    fn what_is_no_engine_is_refused_with_the_lines_of_the_library() {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/tensorrt/rtx-1.7.1.116");
        let folder = std::env::var_os("TENSORRT_RTX_LIBRARY").map_or(cache, Into::into);
        let core = folder.join(Abi::Rtx.core_name());
        if !core.is_file() {
            eprintln!("skipped: there is no {}", core.display());
            return;
        }
        let library = Library::open(Family::Rtx, &core, &folder.join(Abi::Rtx.parser_name())).unwrap();
        for bytes in [&[][..], b"not an engine", &[0; 4096]] {
            let error = library.load_engine(&Driver::pretended(), 0, bytes, &[], Arc::new(Nowhere)).unwrap_err();
            let SysError::Refused { lines, .. } = &error else { panic!("{error}") };
            assert!(!lines.is_empty(), "{error}");
            assert_eq!(error.to_string().lines().count(), 2);
        }
    }
}
