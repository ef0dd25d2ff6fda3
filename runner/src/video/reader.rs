//! Frames out of a video.

use egom2p_video_protocol::{Frame, Information, Record};

use super::{Clips, VideoError, process::Process};

/// Frames of a video in order of time; at most one is in memory.
#[derive(Debug)]
pub struct VideoReader {
    process: Process,
    information: Information,
    n_frames: u64,
    last_secs: f64,
    finished: bool,
}

impl VideoReader {
    pub(super) fn new(mut process: Process) -> Result<Self, VideoError> {
        match process.receive()? {
            Record::Information(information) => {
                Ok(Self { process, information, n_frames: 0, last_secs: f64::NEG_INFINITY, finished: false })
            }
            record => Err(process.unexpected(&record)),
        }
    }

    /// What the file holds and what its frames look like.
    pub fn information(&self) -> &Information {
        &self.information
    }

    /// Frames read so far.
    pub fn n_frames(&self) -> u64 {
        self.n_frames
    }

    /// Groups the frames into clips of `n_frames`; the last one may be shorter.
    pub fn clips(self, n_frames: usize) -> Clips {
        Clips::new(self, n_frames)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn stop(&mut self) {
        self.finished = true;
    }

    fn receive(&mut self) -> Result<Option<Frame>, VideoError> {
        let unexpected =
            |process: &Process, what: String| VideoError::UnexpectedRecord { path: process.path().to_owned(), what };
        match self.process.receive()? {
            Record::Frame(frame) => {
                let announced = (self.information.width, self.information.height);
                if (frame.width, frame.height) != announced {
                    let what =
                        format!("a frame of {:?} pixels after announcing {announced:?}", (frame.width, frame.height));
                    return Err(unexpected(&self.process, what));
                }
                if frame.time_secs < self.last_secs {
                    let what = format!("a frame of {} seconds after one of {}", frame.time_secs, self.last_secs);
                    return Err(unexpected(&self.process, what));
                }
                self.last_secs = frame.time_secs;
                self.n_frames += 1;
                Ok(Some(frame))
            }
            Record::End(end) if end.n_frames == self.n_frames => {
                self.process.close_and_wait();
                Ok(None)
            }
            Record::End(end) => {
                let what = format!("{} frames and an end that counts {}", self.n_frames, end.n_frames);
                Err(unexpected(&self.process, what))
            }
            record => Err(self.process.unexpected(&record)),
        }
    }
}

impl Iterator for VideoReader {
    type Item = Result<Frame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let frame = self.receive();
        self.finished = !matches!(frame, Ok(Some(_)));
        frame.transpose()
    }
}
