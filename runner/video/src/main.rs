//! The video reader and writer process: OpenCV on one side, a pipe of frames on the other.
//!
//! `egom2p` starts this program, so that it needs no OpenCV itself and survives a decoder that crashes. Frames and
//! failures travel over standard output (and, to be written, standard input) in the records of
//! [`egom2p_video_protocol`]. Failures are also printed for people on standard error. Exit codes: 0 done or nobody is
//! reading any more, 1 failed, 2 wrong usage.

mod arguments;
mod interruption;
mod lanczos;
mod read;
mod sampler;
mod sink;
mod source;
mod view;
mod write;

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
};

use clap::Parser;
use egom2p_video_protocol::{Failure, Record, write_header, write_record};

use crate::{
    arguments::{Arguments, Command},
    interruption::Interruption,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = match io::stdout().as_fd().try_clone_to_owned().map(File::from) {
        Ok(output) => output,
        Err(error) => {
            return told(&Failure {
                what: format!("standard output cannot be used: {error}"),
                mend: "connect it to a pipe".to_owned(),
            });
        }
    };
    let outcome = write_header(&mut output).map_err(Interruption::from).and_then(|()| match &arguments.command {
        Command::Probe { path } => read::probe(path, &mut output),
        Command::Read(reading) => read::read(reading, &mut output),
        Command::Write(writing) => write::write(writing, &mut io::stdin().lock(), &mut output),
    });
    match outcome {
        Ok(()) | Err(Interruption::PipeClosed) => ExitCode::SUCCESS,
        Err(Interruption::Failure(failure)) => {
            // Whoever closed the pipe does not want the record; the text below still says what happened.
            let _ = write_record(&mut output, &Record::Failure(failure.clone()));
            told(&failure)
        }
    }
}

fn told(failure: &Failure) -> ExitCode {
    // Standard error may be closed as well, and there is nobody else to tell.
    let _ = writeln!(io::stderr(), "error: {}\n  help: {}", failure.what, failure.mend);
    ExitCode::FAILURE
}
