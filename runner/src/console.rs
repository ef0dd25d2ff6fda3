//! What goes to the terminal: results to standard output, everything else to standard error.

use std::{
    fmt, fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use egom2p::io::partial;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// The conventional exit status of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;
/// What the names of unfinished files and folders begin with, in every crate that writes.
const PARTIAL: &str = ".partial-";
/// How deep below a swept folder unfinished files may lie: a bundle has one level of folders.
const SWEEP_DEPTH: usize = 1;

static SWEPT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// One line to standard output. A reader that went away is not an error.
pub(crate) fn print(line: impl fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// One line to standard error, above a progress bar if there is one.
pub(crate) fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// One machine-readable object to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value).context("cannot write JSON")?);
    Ok(())
}

/// Prints an error as one line what and one line how to mend it.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    let mut what = Vec::new();
    let mut mend = None;
    for cause in error.chain() {
        let text = cause.to_string();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        if what.last().is_none_or(|last: &String| !last.contains(first)) {
            what.push(first.to_owned());
        }
        if !rest.is_empty() {
            mend = Some(rest.replace('\n', " "));
        }
    }
    note(format_args!("error: {}", what.join(": ")));
    if let Some(mend) = mend {
        note(format_args!("  help: {mend}"));
    }
    ExitCode::FAILURE
}

/// Makes Ctrl-C and termination remove whatever is half-written before the process ends.
pub(crate) fn remove_partial_output_on_interrupt() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        partial::remove_all();
        for folder in SWEPT.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sweep(folder, SWEEP_DEPTH);
        }
        note("interrupted: nothing half-written was left");
        std::process::exit(INTERRUPTED);
    })
    .context("cannot watch for Ctrl-C")
}

/// Names a folder that a command writes into: Ctrl-C removes what is unfinished there.
pub(crate) fn sweep_on_interrupt(folder: &Path) {
    SWEPT.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
}

fn sweep(folder: &Path, depth: usize) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        } else if depth > 0 && path.is_dir() {
            sweep(&path, depth - 1);
        }
    }
}

/// A bar of `length` units on standard error; hidden where that is not a terminal.
pub(crate) fn progress(length: u64, what: impl Into<String>) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target).with_message(what.into());
    if let Ok(style) = ProgressStyle::with_template("{msg:28} [{bar:30}] {pos}/{len} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
