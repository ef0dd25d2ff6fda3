//! Training of tokenizers: the codebook against a reference of its own, the published tokenizers, and that small ones learn.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests panic where they fail, and say what they measured")]

mod clips;
mod codebook;
mod learning;
mod metrics;
mod published;
mod settings;
mod state;
mod stored;
mod video;
