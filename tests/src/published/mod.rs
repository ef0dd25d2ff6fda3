//! Values of the published code, and the way from reproducible weights to engines that they are held against.

mod comparison;
mod difference;
mod form;
mod golden;
mod half;
mod inside;
mod model;
mod pattern;
mod recorder;

pub use comparison::Comparison;
pub use difference::Difference;
pub use form::Form;
pub use golden::{Golden, folder};
pub use half::{HalfTolerance, half_agreement, half_tolerance};
pub use inside::{InsideEngine, Place};
pub use model::{BuiltModel, ModelRecipe, onnxruntime_is_here};
pub use pattern::matches;
pub use recorder::{Call, Recorder};
