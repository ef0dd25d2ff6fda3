//! Why a command stops before its end.

use std::io::ErrorKind;

use egom2p_video_protocol::{Failure, ProtocolError};

/// Why a command stops before its end.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// Something failed, and the other side is told.
    Failure(Failure),
    /// Nobody reads the frames any more: the other side has what it wants, or died.
    PipeClosed,
}

impl Interruption {
    /// A failure with its two lines.
    pub(crate) fn failure(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Failure(Failure { what: one_line(&what.into()), mend: one_line(&mend.into()) })
    }

    /// A failure that OpenCV reports.
    pub(crate) fn opencv(what: &str, error: &opencv::Error) -> Self {
        Self::failure(format!("{what}: {}", error.message), "check the file with another program, or re-encode it")
    }
}

impl From<ProtocolError> for Interruption {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Pipe(error) if error.kind() == ErrorKind::BrokenPipe => Self::PipeClosed,
            error => {
                let text = error.to_string();
                let (what, mend) = text.split_once('\n').unwrap_or((&text, ""));
                Self::failure(what, mend)
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
