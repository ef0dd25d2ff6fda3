//! Every operation, on every backend, against the reference interpreter.
//!
//! A [`Case`] is one small graph with what it is fed. The interpreter says what comes out; a backend is whatever
//! implements [`Runs`]. What a backend cannot do stands in a list of [`Ignore`]s with reasons.

mod case;
pub mod cases;
mod check;
mod feed;
mod generator;
mod kinds;
mod tolerance;

pub use case::Case;
pub use check::{Ignore, Report, Runs, check_backend, check_case};
pub use generator::Generator;
pub use kinds::{kinds, kinds_of};
pub use tolerance::Tolerance;
