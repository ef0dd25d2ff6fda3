//! What graphs run on.

mod interpreter;
mod onnxruntime;

pub use interpreter::Interpreter;
pub use onnxruntime::ExportedToOnnxRuntime;
