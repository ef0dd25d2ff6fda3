//! `TensorRT`: what its part of the programs is compiled with, and `TensorRT` for RTX itself.

pub(super) mod compiler;
pub(super) mod headers;
pub(crate) mod rtx;
