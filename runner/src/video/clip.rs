//! Runs of frames.

use egom2p_video_protocol::Information;

use super::{VideoError, VideoReader};

/// Largest clip that is read into memory.
const MAX_CLIP_BYTES: usize = 1 << 30;

/// Consecutive frames of a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Red, green and blue bytes `[n_frames, height, width, 3]`.
    pub frames: Vec<u8>,
    /// Number of frames, at least 1.
    pub n_frames: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Frames per second that the video was read at.
    pub fps: f64,
    /// Time of each frame in seconds from the start of the video.
    pub times_secs: Vec<f64>,
}

/// The clips of a video one after another; at most one is in memory.
///
/// All clips are full except possibly the last: a video shorter than one clip gives a single short one, and what to
/// make of it is the caller's choice. After an error there are no more clips, and the frames before it that did not
/// fill a clip are dropped.
#[derive(Debug)]
pub struct Clips {
    reader: VideoReader,
    n_frames: usize,
}

impl Clips {
    pub(super) fn new(reader: VideoReader, n_frames: usize) -> Self {
        Self { reader, n_frames: n_frames.max(1) }
    }

    /// What the file holds and what its frames look like.
    pub fn information(&self) -> &Information {
        self.reader.information()
    }

    fn read(&mut self) -> Result<Option<Clip>, VideoError> {
        let Information { width, height, fps, .. } = *self.reader.information();
        let frame_bytes = width as usize * height as usize * 3;
        if self.n_frames > MAX_CLIP_BYTES / frame_bytes {
            self.reader.stop();
            return Err(VideoError::ClipTooLarge { n_frames: self.n_frames, width, height });
        }
        let mut clip = Clip {
            frames: Vec::with_capacity(self.n_frames * frame_bytes),
            n_frames: 0,
            height: height as usize,
            width: width as usize,
            fps,
            times_secs: Vec::with_capacity(self.n_frames),
        };
        while clip.n_frames < self.n_frames
            && let Some(frame) = self.reader.next().transpose()?
        {
            clip.frames.extend(frame.rgb);
            clip.times_secs.push(frame.time_secs);
            clip.n_frames += 1;
        }
        Ok((clip.n_frames > 0).then_some(clip))
    }
}

impl Iterator for Clips {
    type Item = Result<Clip, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_finished() { None } else { self.read().transpose() }
    }
}
