//! ONNX files as engines see them: what is read and checked before a native library sees a model.

mod external;
mod model;

pub use external::{External, check_external, tensor_bytes, visit_tensors};
pub use model::{broken, model_specs, read_model};
