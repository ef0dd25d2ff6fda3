//! Pictures with lines, text and curves, written as PNG: the demo's and the training's.

mod canvas;
mod error;
mod font;
mod plot;

pub use canvas::{Canvas, Colour};
pub use error::PlotError;
pub use plot::{Curve, Plot};
