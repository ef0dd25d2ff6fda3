//! What graphs run on.

mod interpreter;
#[cfg(feature = "engines")]
mod onnxruntime;

pub use interpreter::Interpreter;
#[cfg(feature = "engines")]
pub use onnxruntime::ExportedToOnnxRuntime;
