//! What goes to the terminal: results to standard output, everything else to standard error.

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};
use serde::Serialize;
use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::Mutex,
    time::Duration,
};

/// How a bar looks.
#[allow(clippy::literal_string_with_formatting_args, reason = "the bar fills these in")]
const BAR: &str = "[{bar:30}] {pos}/{len} {elapsed} {msg}";

/// The bar that notes must not be written into.
static SHOWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// One line to standard output. A reader that went away is not an error.
pub(crate) fn print(line: impl fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// One line to standard error, above the bar where one is shown.
pub(crate) fn note(line: impl fmt::Display) {
    let write = || {
        let _ = writeln!(io::stderr().lock(), "{line}");
    };
    let bar = SHOWN.lock().ok().and_then(|shown| shown.as_ref().and_then(WeakProgressBar::upgrade));
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The commands that usually come next, for a paste into a shell, to standard error.
pub(crate) fn next(purpose: &str, commands: &[String]) {
    note(format_args!("next, {purpose}:"));
    for command in commands {
        note(format_args!("  {command}"));
    }
}

/// One machine-readable object to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value).context("cannot write JSON")?);
    Ok(())
}

/// Prints an error as one line what and one line how to mend it.
pub(crate) fn fail(error: &anyhow::Error) {
    let mut what: Vec<String> = Vec::new();
    let mut mend = None;
    for cause in error.chain() {
        let text = cause.to_string();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        if what.last().is_none_or(|last| !last.contains(first)) {
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
}

/// A bar of `length` units on standard error; hidden where that is not a terminal. There is one at a time.
pub(crate) fn progress(length: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    if let Ok(mut shown) = SHOWN.lock() {
        *shown = Some(bar.downgrade());
    }
    bar
}
