//! Set-up, demo, tests, benchmarks and build-engines in one command each.
//!
//! Everything that is downloaded or made lands in `cache/` and `target/` of the project's folder; only Debian packages
//! are installed outside of it.

mod bench;
mod bless;
mod build_engines;
mod console;
mod demo;
mod docs;
mod package;
mod process;
mod program;
mod setup;
mod steps;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Set-up, demo, tests, benchmarks and build-engines in one command each.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch and check what the other commands need
    Setup(setup::Arguments),
    /// Run the main job end to end on a clip whose truth is known and draw the result
    Demo(demo::Arguments),
    /// Run every test that this machine can run
    Test,
    /// Export weights to ONNX and build a bundle of engines
    BuildEngines(build_engines::Arguments),
    /// Make a folder that runs on another machine
    Package(package::Arguments),
    /// Measure latency, tokens per second and peak memory
    Bench(bench::Arguments),
    /// Accept the current snapshots and write the generated documents
    Bless,
    /// Write the generated documents
    Docs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Setup(arguments) => setup::run(&workspace, &arguments),
        Command::Demo(arguments) => demo::run(&workspace, &arguments),
        Command::Test => test::run(&workspace),
        Command::BuildEngines(arguments) => build_engines::run(&workspace, &arguments),
        Command::Package(arguments) => package::run(&workspace, &arguments),
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Bless => bless::run(&workspace),
        Command::Docs => docs::write(&workspace),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::fail(&error);
            ExitCode::FAILURE
        }
    }
}
