//! What goes to the terminal: results to standard output, everything else to standard error.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

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

/// How a bar looks.
#[allow(clippy::literal_string_with_formatting_args, reason = "the bar fills these in")]
const BAR: &str = "{msg:28} [{bar:30}] {pos}/{len} {elapsed}";

/// A bar of `length` units on standard error; hidden where that is not a terminal.
pub(crate) fn progress(length: u64, what: impl Into<String>) -> ProgressBar {
    started(ProgressBar::with_draw_target(Some(length), target()).with_message(what.into()))
}

/// Bars below each other, for threads that work at the same time, and lines that none of them overwrites.
pub(crate) struct Bars {
    bars: MultiProgress,
}

impl Bars {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { bars: MultiProgress::with_draw_target(target()) }
    }

    /// One more, of `length` units.
    pub(crate) fn progress(&self, length: u64, what: impl Into<String>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden()).with_message(what.into());
        started(self.bars.add(bar))
    }

    /// [`print`], above all bars.
    pub(crate) fn print(&self, line: impl fmt::Display) {
        self.bars.suspend(|| print(line));
    }

    /// [`note`], above all bars.
    pub(crate) fn note(&self, line: impl fmt::Display) {
        self.bars.suspend(|| note(line));
    }

    /// [`fail`], above all bars.
    pub(crate) fn fail(&self, error: &anyhow::Error) {
        self.bars.suspend(|| {
            fail(error);
        });
    }
}

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn started(bar: ProgressBar) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
