#![allow(unsafe_code, reason = "a network is an object of the shim")]

use crate::built::{Built, HostBytes};
use crate::library::{Library, check};
use crate::log::{LogRelay, LogSink};
use crate::progress::{BuildProgress, ProgressRelay};
use crate::settings::BuildSettings;
use crate::{Driver, ElementType, ParserError, Result, SysError, ffi};
use std::ffi::{CString, c_void};
use std::fmt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

/// A strongly typed network with its builder and parser.
pub struct Network {
    library: &'static Library,
    handle: NonNull<ffi::Network>,
    relay: Arc<LogRelay>,
    has_driver: bool,
    inputs: Vec<NetworkTensor>,
    outputs: Vec<NetworkTensor>,
}

/// A tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkTensor {
    /// Name in the ONNX file.
    pub name: String,
    /// Type of the elements.
    pub dtype: ElementType,
    /// Dimensions, outermost first; none also where TensorRT does not know the rank.
    pub dims: Vec<NetworkDim>,
}

/// A dimension of a tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkDim {
    /// Always of that size.
    Fixed(i64),
    /// Of a size that a profile bounds, with its name in the ONNX file (`dim_param`).
    Dynamic(Option<String>),
}

/// A layer of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkLayer {
    /// Name that the parser gave.
    pub name: String,
    /// Type in the words of TensorRT's headers, such as `kCONVOLUTION`; its number where the headers have none.
    pub kind: String,
    /// What the parser noted, which names the ONNX node.
    pub metadata: String,
    /// Results.
    pub outputs: Vec<NetworkTensor>,
}

impl Network {
    /// The library that the network is of.
    pub fn library(&self) -> &'static Library {
        self.library
    }

    /// Inputs, in the order of the ONNX file.
    pub fn inputs(&self) -> &[NetworkTensor] {
        &self.inputs
    }

    /// Outputs, in the order of the ONNX file.
    pub fn outputs(&self) -> &[NetworkTensor] {
        &self.outputs
    }

    /// Layers, in the order of the parser.
    ///
    /// # Errors
    /// If TensorRT fails.
    pub fn layers(&self) -> Result<Vec<NetworkLayer>> {
        let table = self.library.table();
        let mut seen = Layers { table, layers: Vec::new() };
        let visitor = ffi::LayerVisitor { user: (&raw mut seen).cast(), layer: on_layer, output: on_layer_output };
        let mut failure = ffi::Failure::none();
        // SAFETY: the handle is alive, and the visitor's functions take what `user` points to.
        unsafe { (table.visit_layers)(self.handle.as_ptr(), &raw const visitor, &raw mut failure) };
        check(&failure, &self.relay)?;
        Ok(seen.layers)
    }

    /// Builds an engine.
    ///
    /// # Errors
    /// For settings that the library or the network does not take, [`SysError::Cancelled`] if `progress` says so, and
    /// otherwise whatever TensorRT says.
    pub fn build(self, settings: &BuildSettings, progress: &mut dyn BuildProgress) -> Result<Built> {
        let table = self.library.table();
        let resolved = settings.resolve(self.library, &self.inputs)?;
        if resolved.compute_capabilities.is_empty() && !self.has_driver {
            let mend = "name compute capabilities to build for, or use a machine with an NVIDIA GPU";
            return Err(SysError::DriverNeeded { what: "building for the present device", mend });
        }
        let timing_cache = settings.timing_cache.as_deref();
        let relay = ProgressRelay::new(progress);
        let request = ffi::BuildRequest {
            set_flags: resolved.set_flags.as_ptr(),
            n_set_flags: resolved.set_flags.len(),
            cleared_flags: resolved.cleared_flags.as_ptr(),
            n_cleared_flags: resolved.cleared_flags.len(),
            ranges: resolved.ranges.as_ptr(),
            n_ranges: resolved.ranges.len(),
            compute_capabilities: resolved.compute_capabilities.as_ptr(),
            n_compute_capabilities: resolved.compute_capabilities.len(),
            timing_cache: timing_cache.unwrap_or_default().as_ptr(),
            timing_cache_bytes: timing_cache.unwrap_or_default().len(),
            workspace_bytes: settings.workspace_bytes.map_or(-1, |bytes| bytes as i64),
            n_profiles: settings.profiles.len() as u32,
            use_timing_cache: i32::from(timing_cache.is_some()),
            optimization_level: settings.optimization_level.map_or(-1, i32::from),
            max_threads: settings.max_threads.map_or(-1, u32::cast_signed),
            hardware_level: resolved.hardware_level,
            detailed_layers: i32::from(settings.detailed_layers),
            progress: relay.for_shim(),
        };
        let mut result = ffi::BuildResult { engine: ffi::HostMemory::none(), timing_cache: ffi::HostMemory::none() };
        let mut failure = ffi::Failure::none();
        // SAFETY: the handle is alive, and everything that the request points to outlives the call.
        unsafe { (table.build)(self.handle.as_ptr(), &raw const request, &raw mut result, &raw mut failure) };
        // SAFETY: the shim gives both away, and each is taken over once.
        let (engine, cache) =
            unsafe { (HostBytes::new(&result.engine, table), HostBytes::new(&result.timing_cache, table)) };
        if relay.finish() {
            self.relay.resume_panic();
            return Err(SysError::Cancelled);
        }
        check(&failure, &self.relay)?;
        let engine =
            engine.ok_or_else(|| SysError::Refused { call: "buildSerializedNetwork".to_owned(), lines: Vec::new() })?;
        Ok(Built { engine, timing_cache: cache.map(|bytes| bytes.to_vec()) })
    }

    pub(crate) fn parse(
        library: &'static Library,
        onnx: &Path,
        driver: Option<&Driver>,
        log: Arc<dyn LogSink>,
    ) -> Result<Self> {
        if library.abi().builds_need_driver() && driver.is_none() {
            let mend = "use a machine with an NVIDIA GPU, or TensorRT-RTX, which builds without one";
            return Err(SysError::DriverNeeded { what: "building with TensorRT 10 or 11", mend });
        }
        let unreadable = |source| SysError::Onnx { path: onnx.to_owned(), source };
        drop(std::fs::File::open(onnx).map_err(unreadable)?);
        let path = CString::new(onnx.as_os_str().as_encoded_bytes())
            .map_err(|error| unreadable(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)))?;
        let table = library.table();
        let relay = LogRelay::new(log);
        let mut issues = Issues { table, errors: Vec::new() };
        let visitor = ffi::ParserVisitor { user: (&raw mut issues).cast(), issue: on_issue };
        let mut failure = ffi::Failure::none();
        // SAFETY: the entry points are of the library that the table is for, the relay outlives the network, and the
        // rest outlives the call.
        let handle = unsafe {
            let log = relay.for_shim();
            (table.parse)(library.entries(), &raw const log, path.as_ptr(), &raw const visitor, &raw mut failure)
        };
        if failure.kind == ffi::FAILURE_PARSER {
            relay.resume_panic();
            return Err(SysError::Parse { path: onnx.to_owned(), errors: issues.errors, lines: relay.take_lines() });
        }
        check(&failure, &relay)?;
        let handle = NonNull::new(handle)
            .ok_or_else(|| SysError::Refused { call: "createInferBuilder".to_owned(), lines: Vec::new() })?;
        let has_driver = driver.is_some();
        let mut network = Self { library, handle, relay, has_driver, inputs: Vec::new(), outputs: Vec::new() };
        network.read_tensors()?;
        if network.outputs.is_empty() {
            return Err(SysError::NoOutputs { path: onnx.to_owned() });
        }
        Ok(network)
    }

    fn read_tensors(&mut self) -> Result<()> {
        let table = self.library.table();
        let mut seen = Tensors { table, inputs: Vec::new(), outputs: Vec::new() };
        let visitor = ffi::NetworkVisitor { user: (&raw mut seen).cast(), input: on_input, output: on_output };
        let mut failure = ffi::Failure::none();
        // SAFETY: the handle is alive, and the visitor's functions take what `user` points to.
        unsafe { (table.visit_network)(self.handle.as_ptr(), &raw const visitor, &raw mut failure) };
        check(&failure, &self.relay)?;
        (self.inputs, self.outputs) = (seen.inputs, seen.outputs);
        Ok(())
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("inputs", &self.inputs).field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // SAFETY: the handle comes from this shim and is freed once; the relay, which it logs to, is freed after it.
        unsafe { (self.library.table().free_network)(self.handle.as_ptr()) }
    }
}

// SAFETY: TensorRT binds a builder and its networks to no thread; it forbids only simultaneous use, and there is one
// owner.
unsafe impl Send for Network {}

impl NetworkTensor {
    /// Whether a profile must bound the tensor.
    pub fn is_dynamic(&self) -> bool {
        self.dims.iter().any(|dim| matches!(dim, NetworkDim::Dynamic(_)))
    }

    /// # Safety
    /// `tensor` comes from the shim, during the callback that it gave it to.
    unsafe fn read(tensor: *const ffi::Tensor, table: &ffi::Table) -> Self {
        // SAFETY: the caller vouches for the pointer and for the text in it.
        unsafe {
            let tensor = &*tensor;
            let n_dims = usize::try_from(tensor.n_dims).unwrap_or(0).min(ffi::MAX_DIMS);
            let dim = |axis: usize| match tensor.dims[axis] {
                size @ 0.. => NetworkDim::Fixed(size),
                _ => NetworkDim::Dynamic(ffi::text(tensor.dim_names[axis])),
            };
            Self {
                name: ffi::text(tensor.name).unwrap_or_default(),
                dtype: ElementType::of(tensor.element_type, table),
                dims: (0..n_dims).map(dim).collect(),
            }
        }
    }
}

impl fmt::Display for NetworkTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims.iter().map(ToString::to_string).collect();
        write!(f, "{} {} [{}]", self.name, self.dtype, dims.join(", "))
    }
}

impl fmt::Display for NetworkDim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Dynamic(name) => f.write_str(name.as_deref().unwrap_or("?")),
        }
    }
}

struct Tensors {
    table: &'static ffi::Table,
    inputs: Vec<NetworkTensor>,
    outputs: Vec<NetworkTensor>,
}

struct Layers {
    table: &'static ffi::Table,
    layers: Vec<NetworkLayer>,
}

struct Issues {
    table: &'static ffi::Table,
    errors: Vec<ParserError>,
}

unsafe extern "C" fn on_input(user: *mut c_void, tensor: *const ffi::Tensor) {
    // SAFETY: the shim hands back `user`, which is a `Tensors`, with a tensor that is valid during the call.
    unsafe {
        let seen = &mut *user.cast::<Tensors>();
        seen.inputs.push(NetworkTensor::read(tensor, seen.table));
    }
}

unsafe extern "C" fn on_output(user: *mut c_void, tensor: *const ffi::Tensor) {
    // SAFETY: as in `on_input`.
    unsafe {
        let seen = &mut *user.cast::<Tensors>();
        seen.outputs.push(NetworkTensor::read(tensor, seen.table));
    }
}

unsafe extern "C" fn on_layer(user: *mut c_void, layer: *const ffi::Layer) {
    // SAFETY: the shim hands back `user`, which is a `Layers`, with a layer that is valid during the call.
    unsafe {
        let (seen, layer) = (&mut *user.cast::<Layers>(), &*layer);
        let kind = seen.table.layer_types.name(layer.kind);
        seen.layers.push(NetworkLayer {
            name: ffi::text(layer.name).unwrap_or_default(),
            kind: kind.map_or_else(|| layer.kind.to_string(), str::to_owned),
            metadata: ffi::text(layer.metadata).unwrap_or_default(),
            outputs: Vec::new(),
        });
    }
}

unsafe extern "C" fn on_layer_output(user: *mut c_void, tensor: *const ffi::Tensor) {
    // SAFETY: as in `on_layer`.
    unsafe {
        let seen = &mut *user.cast::<Layers>();
        let tensor = NetworkTensor::read(tensor, seen.table);
        if let Some(layer) = seen.layers.last_mut() {
            layer.outputs.push(tensor);
        }
    }
}

unsafe extern "C" fn on_issue(user: *mut c_void, issue: *const ffi::ParserIssue) {
    // SAFETY: the shim hands back `user`, which is an `Issues`, with an issue that is valid during the call.
    unsafe {
        let (seen, issue) = (&mut *user.cast::<Issues>(), &*issue);
        let code = seen.table.parser_codes.name(issue.code);
        seen.errors.push(ParserError {
            node: ffi::text(issue.node).unwrap_or_default(),
            operator: ffi::text(issue.op_type).unwrap_or_default(),
            text: ffi::text(issue.text).unwrap_or_default(),
            code: code.map_or_else(|| issue.code.to_string(), str::to_owned),
            file: ffi::text(issue.file).unwrap_or_default(),
            line: issue.line,
            function: ffi::text(issue.function).unwrap_or_default(),
        });
    }
}
