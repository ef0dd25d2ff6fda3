//! The `egom2p-train` binary as its users meet it: what it prints, how it fails, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod arrays;
mod bench;
mod damage;
mod devices;
mod failures;
mod folders;
mod interrupts;
mod killed;
mod losses;
mod pipeline;
mod usage;
