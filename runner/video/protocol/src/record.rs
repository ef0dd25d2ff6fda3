//! What travels over the pipe.

use crate::ProtocolError;

/// Largest width or height of a frame in pixels, so that a frame never holds more than 192 MiB.
pub const MAX_SIDE: u32 = 8192;
/// Largest length of a text in a failure record in bytes.
pub const MAX_TEXT_BYTES: u32 = 4096;

/// One record of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// What the file holds and what the frames of this stream look like.
    Information(Information),
    /// One frame.
    Frame(Frame),
    /// The stream is complete.
    End(End),
    /// The stream ends here because something failed.
    Failure(Failure),
}

/// What a video file holds and what the frames of this stream look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Information {
    /// Width of the frames of this stream in pixels.
    pub width: u32,
    /// Height of the frames of this stream in pixels.
    pub height: u32,
    /// Width of the frames in the file in pixels, after the container's rotation.
    pub source_width: u32,
    /// Height of the frames in the file in pixels, after the container's rotation.
    pub source_height: u32,
    /// Frames per second of this stream; the file's own rate where the stream is not resampled.
    pub fps: f64,
    /// Frames per second that the container states, 0 where it states none.
    pub source_fps: f64,
    /// Frames that the container announces, 0 where it announces none; some containers only estimate it.
    pub n_announced_frames: u64,
}

/// One RGB frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Presentation time in seconds from the start of the video; finite.
    pub time_secs: f64,
    /// Width in pixels, from 1 to [`MAX_SIDE`].
    pub width: u32,
    /// Height in pixels, from 1 to [`MAX_SIDE`].
    pub height: u32,
    /// Red, green and blue bytes `[height, width, 3]`.
    pub rgb: Vec<u8>,
}

/// The counts that close a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Frames in this stream.
    pub n_frames: u64,
    /// Frames that were decoded from the file (reading) or put into it (writing).
    pub n_source_frames: u64,
}

/// Why a stream ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, one line.
    pub what: String,
    /// How to mend it, one line.
    pub mend: String,
}

/// Number of bytes of an RGB frame, with its size checked.
///
/// # Errors
/// [`ProtocolError::OutOfBounds`] where a side is 0 or larger than [`MAX_SIDE`].
pub fn frame_bytes(width: u32, height: u32) -> Result<usize, ProtocolError> {
    for (field, value) in [("frame width", width), ("frame height", height)] {
        if value == 0 || value > MAX_SIDE {
            return Err(ProtocolError::OutOfBounds { field, value: value.into(), limit: MAX_SIDE.into() });
        }
    }
    Ok(width as usize * height as usize * 3)
}
