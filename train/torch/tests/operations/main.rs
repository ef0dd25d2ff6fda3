//! Operations and stages on libtorch against the reference interpreter and the reference values, and their gradients.

mod backend;
mod checkpointed;
mod gradients;
mod halves;
mod leaves;
mod stages;
mod suite;
