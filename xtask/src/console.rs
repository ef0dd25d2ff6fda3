//! What is said to the person at the terminal.

use std::{
    fmt::Display,
    io::{self, Write},
};

use anyhow::{Error, anyhow};

/// Says one line on standard error, where progress belongs.
pub(crate) fn say(line: impl Display) {
    // Whoever closed standard error does not want the line.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes one line of a result on standard output.
pub(crate) fn print(line: impl Display) {
    // Whoever closed standard output does not want the line.
    let _ = writeln!(io::stdout(), "{line}");
}

/// An error of one line what and one line how to mend it.
pub(crate) fn failure(what: impl Display, mend: impl Display) -> Error {
    anyhow!("{what}\n{mend}")
}

/// Says an error with all its causes, one line what and one line how to mend it.
pub(crate) fn fail(error: &Error) {
    let mut what = Vec::new();
    let mut mend = None;
    for cause in error.chain() {
        let text = cause.to_string();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        what.push(first.to_owned());
        if !rest.is_empty() && mend.is_none() {
            mend = Some(rest.replace('\n', " "));
        }
    }
    say(format_args!("error: {}", what.join(": ")));
    if let Some(mend) = mend {
        say(format_args!("  help: {mend}"));
    }
}
