//! The `egom2p-train` command line.

mod commands;
mod console;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::Cli::parse().run()
}
