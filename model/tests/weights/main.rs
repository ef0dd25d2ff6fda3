//! Weights files, published checkpoints and hostile ones. The checkpoints come from `tests/python/make_checkpoints.py`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checkpoint;
mod fixture;
mod hostile;
mod import;
mod weights_file;
