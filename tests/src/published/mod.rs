//! Values of the published code, and the way from reproducible weights to engines that they are held against.

#[cfg(feature = "engines")]
mod comparison;
mod difference;
#[cfg(feature = "engines")]
mod form;
mod golden;
mod half;
#[cfg(feature = "engines")]
mod inside;
#[cfg(feature = "engines")]
mod model;
mod pattern;
#[cfg(feature = "engines")]
mod recorder;

#[cfg(feature = "engines")]
pub use comparison::Comparison;
pub use difference::Difference;
#[cfg(feature = "engines")]
pub use form::Form;
pub use golden::{Golden, folder};
pub use half::{HalfTolerance, half_agreement, half_tolerance};
#[cfg(feature = "engines")]
pub use inside::{InsideEngine, Place};
#[cfg(feature = "engines")]
pub use model::{BuiltModel, ModelRecipe, onnxruntime_is_here};
pub use pattern::matches;
#[cfg(feature = "engines")]
pub use recorder::{Call, Recorder};
