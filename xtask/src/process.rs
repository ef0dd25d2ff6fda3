//! Running other programs.

use std::{
    io::ErrorKind,
    process::{Command, Output, Stdio},
};

use anyhow::Result;

use crate::console::{failure, say};

/// Runs a program whose output goes to the terminal, after saying what is run.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    say(format_args!("$ {line}"));
    let status = command.status().map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(failure(format_args!("{line} failed ({status})"), "its own output is above"))
    }
}

/// Runs a program quietly and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))
}

/// Whether a program can be started with these arguments and succeeds.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    output(command).is_ok_and(|output| output.status.success())
}

/// A command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    [program].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

fn not_started(command: &Command, error: &std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy();
    let mend = if error.kind() == ErrorKind::NotFound {
        "install it, or check PATH"
    } else {
        "check the program and its permissions"
    };
    failure(format_args!("{program} cannot be started: {error}"), mend)
}
