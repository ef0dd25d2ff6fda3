//! Backend, Engine, Session, Profile, Tensor and Comparison: the contract between engines and their users.
//!
//! A [`Backend`] builds engines from ONNX files and opens them, an [`Engine`] says what it takes and gives and makes
//! sessions, a [`Session`] runs. Nothing here is native and nothing here knows a model: engines see ONNX and tensors.
//!
//! **Invariant:** names, element types, shapes and named dimensions are checked in this crate, before and after every
//! run; a backend implements [`RunSession`] and is never called with inputs that do not fit. A model that a backend hands
//! to a native library has gone through [`onnx`].

mod backend;
mod comparison;
mod compile;
mod device_tensor;
mod digest;
mod dim_expression;
mod dims;
mod engine;
mod error;
mod exported;
mod monitor;
pub mod onnx;
mod profile;
mod record;
mod relative_path;
mod session;
mod spec;
mod tensor;

pub use backend::{AdoptRequest, Backend, BackendInfo, BuildReport, BuildRequest, Device, OpenRequest};
pub use comparison::{Comparison, ErrorStats, OutputComparison, Tolerance, WorstElement};
pub use compile::{
    CompileOptions, ComputeCapability, EngineWeights, HardwareCompatibility, ParseComputeCapabilityError,
};
pub use device_tensor::DeviceTensor;
pub use digest::{Digest, ParseDigestError};
pub use dims::Dims;
pub use engine::Engine;
pub use error::{EngineError, Result};
pub use exported::{EXPORT_MANIFEST_FILE, EXPORT_MANIFEST_SCHEMA, ExportManifest, ExportedVariant, FileEntry};
pub use monitor::BuildMonitor;
pub use profile::{DimRange, Profile};
pub use record::{
    ENGINE_RECORD_SCHEMA, ENGINE_RECORD_SUFFIX, ENGINE_SUFFIX, EngineMemory, EngineRecord, EngineTarget, LayerRecord,
    LayerTensor,
};
pub use relative_path::{RelativePath, RelativePathError};
pub use session::{RunSession, Session, SessionOptions};
pub use spec::{Axis, DType, TensorSpec};
pub use tensor::{Data, DataMut, Tensor};
