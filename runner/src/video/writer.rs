//! Frames into a video.

use egom2p_video_protocol::{End, Record, frame_bytes, write_frame, write_header, write_record};

use super::{VideoError, WriteOptions, process::Process};

/// A video being written, which takes its path when [`finish`](Self::finish) succeeds; dropped before that, it leaves
/// nothing.
#[derive(Debug)]
pub struct VideoWriter {
    process: Process,
    fps: f64,
    width: u32,
    height: u32,
    n_frames: u64,
}

impl VideoWriter {
    pub(super) fn new(mut process: Process, options: &WriteOptions) -> Result<Self, VideoError> {
        let WriteOptions { fps, width, height, .. } = *options;
        let header = process.input().and_then(|mut input| write_header(&mut input));
        let mut writer = Self { process, fps, width, height, n_frames: 0 };
        header.map_err(|_| writer.failed())?;
        Ok(writer)
    }

    /// Appends a frame of RGB bytes `[height, width, 3]`.
    pub fn push(&mut self, rgb: &[u8]) -> Result<(), VideoError> {
        let expected = frame_bytes(self.width, self.height)
            .map_err(|source| VideoError::Stream { path: self.process.path().to_owned(), source })?;
        if rgb.len() != expected {
            return Err(VideoError::FrameBytes { path: self.process.path().to_owned(), expected, found: rgb.len() });
        }
        let (time_secs, width, height) = (self.n_frames as f64 / self.fps, self.width, self.height);
        let sent = self.process.input().and_then(|mut input| write_frame(&mut input, time_secs, width, height, rgb));
        sent.map_err(|_| self.failed())?;
        self.n_frames += 1;
        Ok(())
    }

    /// Completes the video: every frame was read back from it, and it is at its path.
    pub fn finish(mut self) -> Result<(), VideoError> {
        let end = Record::End(End { n_frames: self.n_frames, n_source_frames: self.n_frames });
        let sent = self.process.input().and_then(|mut input| write_record(&mut input, &end));
        sent.map_err(|_| self.failed())?;
        match self.process.receive()? {
            Record::End(written) if written.n_frames == self.n_frames => Ok(()),
            record => Err(self.process.unexpected(&record)),
        }
    }

    /// Why the program stopped taking frames: it says so before it ends, unless it died.
    fn failed(&mut self) -> VideoError {
        match self.process.receive() {
            Ok(record) => self.process.unexpected(&record),
            Err(error) => error,
        }
    }
}

impl Drop for VideoWriter {
    fn drop(&mut self) {
        // The program removes its unfinished file when its input ends; killing it first would leave the file behind.
        self.process.close_and_wait();
    }
}
