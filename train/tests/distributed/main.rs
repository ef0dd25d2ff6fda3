//! Training by two processes on the loopback, against training by one.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

#[path = "../cli/bench.rs"]
#[allow(dead_code, reason = "the bench is that of the command line's tests, which use all of it")]
mod bench;
#[path = "../pretraining/clips.rs"]
#[allow(dead_code, reason = "the clips are those of the tests of pretraining, which use all of them")]
mod clips;
mod commands;
mod environment;
mod failures;
mod processes;
mod steps;
mod streams;
