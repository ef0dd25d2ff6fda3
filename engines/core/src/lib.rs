//! Backend, Engine, Session, Profile, Tensor and Comparison: the contract between engines and their users.
//!
//! A [`Backend`] builds engines from ONNX files and opens them, an [`Engine`] says what it takes and gives and makes
//! sessions, a [`Session`] runs. Nothing here is native and nothing here knows a model: engines see ONNX and tensors.
//!
//! **Invariant:** names, element types, shapes and named dimensions are checked in this crate, before and after every
//! run; a backend implements [`RunSession`] and is never called with inputs that do not fit.

mod backend;
mod comparison;
mod digest;
mod dims;
mod engine;
mod error;
mod exported;
mod profile;
mod relative_path;
mod session;
mod spec;
mod tensor;

pub use backend::{Backend, BackendInfo, BuildReport, BuildRequest, Device, OpenRequest};
pub use comparison::{Comparison, ErrorStats, OutputComparison, Tolerance, WorstElement};
pub use digest::{Digest, ParseDigestError};
pub use dims::Dims;
pub use engine::Engine;
pub use error::{EngineError, Result};
pub use exported::{EXPORT_MANIFEST_FILE, EXPORT_MANIFEST_SCHEMA, ExportManifest, ExportedVariant, FileEntry};
pub use profile::{DimRange, Profile};
pub use relative_path::{RelativePath, RelativePathError};
pub use session::{RunSession, Session, SessionOptions};
pub use spec::{Axis, DType, TensorSpec};
pub use tensor::{Data, DataMut, Tensor};
