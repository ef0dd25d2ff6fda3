//! What can go wrong between a video file and its frames.

use std::{io, path::PathBuf};

use egom2p_video_protocol::ProtocolError;

use super::program::{PROGRAM_NAME, PROGRAM_VARIABLE};

/// Why a video could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// The video program is not installed.
    #[error(
        "the video program {PROGRAM_NAME} was not found: looked for {}\n\
         build it with \"cargo xtask setup\" and \"cargo build --release -p {PROGRAM_NAME}\", \
         or set {PROGRAM_VARIABLE} to its path",
        searched.display()
    )]
    ProgramMissing {
        /// Where it was expected.
        searched: PathBuf,
    },
    /// The video program cannot be started.
    #[error(
        "the video program {} cannot be started: {source}\nrebuild it with \"cargo build --release -p {PROGRAM_NAME}\"",
        program.display()
    )]
    ProgramNotStarted {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A setting is outside of what the video program takes.
    #[error("{setting} {found} of a video is out of range: expected {expected}\nchoose a value in this range")]
    OutOfRange {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        found: f64,
        /// The range.
        expected: &'static str,
    },
    /// The video program said what is wrong with the file.
    #[error("{what}\n{mend}")]
    Failed {
        /// What went wrong, one line.
        what: String,
        /// How to mend it, one line.
        mend: String,
    },
    /// The video program ended without saying why: a crash of a decoder, a missing shared library, the system's memory
    /// limit.
    #[error(
        "the video program died ({how}) at {}{said}\n\
         check the file with another program, re-encode it, or see \"egom2p doctor\"",
        path.display()
    )]
    Died {
        /// The video.
        path: PathBuf,
        /// Its exit status.
        how: String,
        /// The last line that it printed, with a colon before it; empty where it printed nothing.
        said: String,
    },
    /// The video program sent something that is not in the protocol.
    #[error(
        "the video program sent a damaged stream for {}: {}\nrebuild egom2p and {PROGRAM_NAME} together",
        path.display(),
        first_line(source)
    )]
    Stream {
        /// The video.
        path: PathBuf,
        /// What is wrong with the stream.
        source: ProtocolError,
    },
    /// The video program sent a record that cannot come at this point, or contradicts an earlier one.
    #[error("the video program sent {what} for {}\nrebuild egom2p and {PROGRAM_NAME} together", path.display())]
    UnexpectedRecord {
        /// The video.
        path: PathBuf,
        /// What it sent.
        what: String,
    },
    /// Frames that were passed to be written have the wrong number of bytes.
    #[error(
        "a frame for {} has the wrong number of bytes: expected {expected}, got {found}\n\
         pass height * width * 3 bytes of RGB",
        path.display()
    )]
    FrameBytes {
        /// The video.
        path: PathBuf,
        /// Bytes of a frame of the size that the video was started with.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// A clip would need more memory than is reasonable.
    #[error("a clip of {n_frames} frames of {width}x{height} pixels is too large\nread the video at a smaller size")]
    ClipTooLarge {
        /// Frames in a clip.
        n_frames: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// A damaged stream is one part of a longer sentence, so only its first line is printed.
fn first_line(error: &ProtocolError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
