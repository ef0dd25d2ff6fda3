//! Suites over every crate and backend: operations, golden stages, transcripts, layer rules.

pub mod backends;
pub mod goldens;
pub mod op_suite;
pub mod published;
