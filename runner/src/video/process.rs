//! A running video program.

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use egom2p_video_protocol::{Failure, ProtocolError, Record, read_header, read_record};

use super::VideoError;

/// How much of what the program prints is kept.
const MAX_PRINTED_BYTES: usize = 4096;

/// A running video program with its pipes; ended and waited for when dropped.
///
/// It is in a process group of its own, so that Ctrl-C reaches only `egom2p`: the program then finds its pipe closed
/// and cleans up after itself.
#[derive(Debug)]
pub(super) struct Process {
    path: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    printed: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    /// Starts the program for a video and reads the header of its stream.
    pub(super) fn start(program: &Path, arguments: &[OsString], path: &Path) -> Result<Self, VideoError> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| VideoError::ProgramNotStarted { program: program.to_owned(), source })?;
        let printed = child.stderr.take().map(|stderr| thread::spawn(move || last_bytes(stderr)));
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut process = Self { path: path.to_owned(), child, input, output, printed };
        let header = process.output.as_mut().map_or_else(|| Err(closed()), read_header);
        header.map_err(|error| process.broken(error))?;
        Ok(process)
    }

    /// The video.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The pipe into the program, until it is closed.
    pub(super) fn input(&mut self) -> Result<&mut ChildStdin, ProtocolError> {
        self.input.as_mut().ok_or_else(closed)
    }

    /// Closes the pipe into the program and waits until it has ended.
    pub(super) fn close_and_wait(&mut self) {
        self.input = None;
        // A program that is gone already needs no waiting.
        let _ = self.child.wait();
    }

    /// Reads the next record; a failure record and a program that died are errors.
    pub(super) fn receive(&mut self) -> Result<Record, VideoError> {
        let record = self.output.as_mut().map_or_else(|| Err(closed()), read_record);
        match record {
            Ok(Record::Failure(Failure { what, mend })) => Err(VideoError::Failed { what, mend }),
            Ok(record) => Ok(record),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// The error for a record that cannot come at this point.
    pub(super) fn unexpected(&self, record: &Record) -> VideoError {
        let what = match record {
            Record::Information(_) => "a second information record",
            Record::Frame(_) => "a frame out of place",
            Record::End(_) => "an end out of place",
            Record::Failure(_) => "a failure out of place",
        };
        VideoError::UnexpectedRecord { path: self.path.clone(), what: what.to_owned() }
    }

    /// The error for a pipe that broke: a program that died, or sent what is not in the protocol.
    pub(super) fn broken(&mut self, error: ProtocolError) -> VideoError {
        match error {
            ProtocolError::Pipe(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe) => {
                self.input = None;
                let how = match self.child.wait() {
                    Ok(status) => described(status),
                    Err(error) => error.to_string(),
                };
                let printed = self.printed.take().and_then(|printed| printed.join().ok()).unwrap_or_default();
                VideoError::Died { path: self.path.clone(), how, said: last_line(&printed) }
            }
            source => VideoError::Stream { path: self.path.clone(), source },
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        self.output = None;
        // Both fail only where the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn closed() -> ProtocolError {
    ProtocolError::Pipe(ErrorKind::BrokenPipe.into())
}

fn described(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => status.to_string(),
    }
}

/// Reads everything, so that the program never waits for its reader, and keeps the end.
fn last_bytes(mut stderr: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; MAX_PRINTED_BYTES];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return kept,
            Ok(n_bytes) => {
                kept.extend(&buffer[..n_bytes]);
                kept.drain(..kept.len().saturating_sub(MAX_PRINTED_BYTES));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
    }
}

fn last_line(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let printable: String = line.chars().filter(|letter| !letter.is_control()).collect();
    if printable.is_empty() { printable } else { format!(": {printable}") }
}
