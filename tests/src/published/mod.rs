//! Values of the published code, and the way from reproducible weights to engines that they are held against.

mod comparison;
mod golden;
mod inside;
mod model;
mod recorder;

pub use comparison::Comparison;
pub use golden::{Golden, folder};
pub use inside::{InsideEngine, Place};
pub use model::{BuiltModel, ModelRecipe, onnxruntime_is_here};
pub use recorder::{Call, Recorder};
