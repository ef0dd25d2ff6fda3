//! ONNX Runtime behind the engine contract, loaded at run time.
//!
//! An engine of this backend is the ONNX graph after ONNX Runtime's own optimisations, saved once, so that loading
//! does not repeat them. Its weights stay where they were: the saved graph points into the weights files of the
//! exported model and owns only what an optimisation made new.
//!
//! **Invariants:** the library is opened by the first call to the backend, from a place that the error names, never
//! by a search of the system. Every model is scanned, and its external data are checked to lie inside the bundle,
//! before ONNX Runtime sees it.

mod backend;
mod engine;
mod library;
mod message;
mod optimise;
mod session;
mod sharing;
mod version;

pub use backend::{OnnxRuntime, OnnxRuntimeOptions};
pub use library::{LIBRARY_VARIABLE, LIBRARY_VERSION};
