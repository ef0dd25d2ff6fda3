//! ONNX Runtime behind the engine contract, loaded at run time.
//!
//! An engine for the processor is the ONNX graph after ONNX Runtime's own optimisations, saved once, so that loading
//! does not repeat them. Its weights stay where they were: the saved graph points into the weights files of the
//! exported model and owns only what an optimisation made new. An engine for a GPU is the exported graph itself, which is
//! optimised when it is loaded, because the fusions depend on the provider that runs it; building one needs neither a GPU
//! nor the CUDA provider.
//!
//! **Invariants:** the library is opened by the first call to the backend, from a place that the error names, never
//! by a search of the system. Every model is scanned, and its external data are checked to lie inside the bundle,
//! before ONNX Runtime sees it.

mod backend;
mod cuda;
mod cuda_session;
mod engine;
mod library;
mod message;
mod native;
mod optimise;
mod relocate;
mod session;
mod sharing;
#[cfg(test)]
mod test_model;
mod version;

pub use backend::{OnnxRuntime, OnnxRuntimeOptions};
pub use library::{LIBRARY_VARIABLE, LIBRARY_VERSION};
