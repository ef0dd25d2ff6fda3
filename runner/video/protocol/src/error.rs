//! What can go wrong on the pipe.

use std::io;

/// Why a stream could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The pipe itself failed; a closed pipe reads as [`io::ErrorKind::UnexpectedEof`] and writes as
    /// [`io::ErrorKind::BrokenPipe`].
    #[error("video pipe failed: {0}\ncheck that the other process is still running")]
    Pipe(#[from] io::Error),
    /// The stream does not begin with [`crate::MAGIC`].
    #[error(
        "video stream has a foreign header: expected EGOVIDEO, got {found:?}\nrebuild egom2p and egom2p-video together"
    )]
    ForeignHeader {
        /// The first bytes as text, with what is not printable escaped.
        found: String,
    },
    /// The stream has another version.
    #[error(
        "video stream has another version: expected {expected}, got {found}\nrebuild egom2p and egom2p-video together"
    )]
    OtherVersion {
        /// The version of this library.
        expected: u32,
        /// The version in the stream.
        found: u32,
    },
    /// A record begins with an unknown tag.
    #[error(
        "video stream has an unknown record: expected one of I F E X, got byte {tag:#04x}\n\
         rebuild egom2p and egom2p-video together"
    )]
    UnknownRecord {
        /// The tag that was found.
        tag: u8,
    },
    /// A number in a record is outside its limits.
    #[error(
        "{field} of the video stream is out of bounds: expected 1 to {limit}, got {value}\n\
         scale the video down before it is read"
    )]
    OutOfBounds {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The largest legal value.
        limit: u64,
    },
    /// A time or rate is not a finite number.
    #[error(
        "{field} of the video stream is not a finite number: got {value}\nre-encode the video with proper time stamps"
    )]
    NotFinite {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: f64,
    },
    /// A frame's pixels do not fit its size.
    #[error(
        "a frame of {width}x{height} has the wrong number of bytes: expected {expected}, got {found}\n\
         pass height * width * 3 bytes of RGB"
    )]
    FrameBytes {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes of a frame of this size.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// There is no memory for a frame.
    #[error("no memory for a video frame of {n_bytes} bytes\nread the video at a smaller size")]
    NoMemory {
        /// Bytes that were asked for.
        n_bytes: usize,
    },
}
