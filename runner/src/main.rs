//! The `egom2p` command line.

mod commands;
mod console;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    if let Err(error) = console::remove_partial_output_on_interrupt() {
        return console::fail(&error);
    }
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => console::fail(&error),
    }
}
