//! The `egom2p` command line.

mod commands;
mod console;
mod quantity;
mod table;

use std::process::ExitCode;

use clap::Parser as _;
use egom2p::io::partial;

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            partial::halt().remove();
            console::fail(&error)
        }
    }
}
