//! A video file, frame by frame.

use std::{fs, path::Path};

use egom2p_video_protocol::{Information, MAX_SIDE, frame_bytes};
use opencv::{
    core::{CV_8UC3, Mat, MatTraitConst, MatTraitConstManual, get_version_string},
    videoio::{
        CAP_FFMPEG, CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, CAP_PROP_FRAME_HEIGHT, CAP_PROP_FRAME_WIDTH, CAP_PROP_POS_MSEC,
        VideoCapture, VideoCaptureTrait, VideoCaptureTraitConst,
    },
};

use crate::interruption::Interruption;

/// Longest time between two frames that is believed; a time stamp beyond it is damage, and filling the gap would never
/// end.
const MAX_GAP_SECS: f64 = 3600.0;

/// An open video file.
///
/// Only FFmpeg's reader is used, because it is the one that tells the time of each frame, and only on regular files,
/// never on addresses or devices.
pub(crate) struct Source {
    name: String,
    capture: VideoCapture,
    pixels: Mat,
    stated: Stated,
    n_decoded: u64,
    last_secs: f64,
    last_interval_secs: f64,
}

/// What the container states about its video.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stated {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: f64,
    pub(crate) n_frames: u64,
}

/// One decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Blue, green and red bytes `[height, width, 3]`.
    pub(crate) bgr: Vec<u8>,
}

impl Source {
    /// Opens a video and checks the size that its container states.
    pub(crate) fn open(path: &Path) -> Result<Self, Interruption> {
        let name = path.display().to_string();
        let metadata = fs::metadata(path).map_err(|error| {
            Interruption::failure(format!("video {name} cannot be opened: {error}"), "check the path")
        })?;
        if !metadata.is_file() {
            return Err(Interruption::failure(
                format!("video {name} is not a regular file"),
                "pass the path of a video file",
            ));
        }
        if metadata.len() == 0 {
            return Err(Interruption::failure(
                format!("video {name} is an empty file"),
                "copy or record the video again",
            ));
        }
        // An absolute path cannot be mistaken for an address or a protocol of FFmpeg.
        let absolute = fs::canonicalize(path).map_err(|error| {
            Interruption::failure(format!("video {name} cannot be opened: {error}"), "check the path")
        })?;
        let Some(absolute) = absolute.to_str() else {
            return Err(Interruption::failure(format!("the path of video {name} is not UTF-8"), "rename the file"));
        };
        let capture = VideoCapture::from_file(absolute, CAP_FFMPEG)
            .map_err(|error| Interruption::opencv(&format!("video {name} cannot be opened"), &error))?;
        if !capture.is_opened().unwrap_or(false) {
            let version = get_version_string().unwrap_or_default();
            return Err(Interruption::failure(
                format!("{name} is not a video that OpenCV {version} can read"),
                "check that it is a whole video file, or re-encode it to mp4",
            ));
        }
        let property = |property| {
            capture.get(property).ok().filter(|value: &f64| value.is_finite() && *value > 0.0).unwrap_or(0.0)
        };
        let stated = Stated {
            width: property(CAP_PROP_FRAME_WIDTH) as u32,
            height: property(CAP_PROP_FRAME_HEIGHT) as u32,
            fps: property(CAP_PROP_FPS),
            n_frames: property(CAP_PROP_FRAME_COUNT) as u64,
        };
        check_size(&name, stated.width, stated.height)?;
        Ok(Self {
            name,
            capture,
            pixels: Mat::default(),
            stated,
            n_decoded: 0,
            last_secs: 0.0,
            last_interval_secs: 0.0,
        })
    }

    /// The path as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the container states.
    pub(crate) fn stated(&self) -> Stated {
        self.stated
    }

    /// Frames decoded so far.
    pub(crate) fn n_decoded(&self) -> u64 {
        self.n_decoded
    }

    /// Time at which the last decoded frame stops being shown: as long after it as it came after the one before.
    pub(crate) fn end_secs(&self) -> f64 {
        self.last_secs + self.last_interval_secs
    }

    /// Decodes the next frame; `None` at the end of the video.
    pub(crate) fn next(&mut self) -> Result<Option<(f64, Picture)>, Interruption> {
        let what = format!("decoding frame {} of {} failed", self.n_decoded, self.name);
        if !self.capture.read(&mut self.pixels).map_err(|error| Interruption::opencv(&what, &error))? {
            self.check_end()?;
            return Ok(None);
        }
        let time_secs = self.time_secs()?;
        if self.pixels.typ() != CV_8UC3 || !self.pixels.is_continuous() {
            return Err(Interruption::failure(
                format!("{} decodes to pixels that are not 8-bit colour", self.name),
                "re-encode it as 8-bit video",
            ));
        }
        let (width, height) = (self.pixels.cols(), self.pixels.rows());
        check_size(&self.name, width.unsigned_abs(), height.unsigned_abs())?;
        let bgr = self.pixels.data_bytes().map_err(|error| Interruption::opencv(&what, &error))?.to_vec();
        self.n_decoded += 1;
        Ok(Some((
            time_secs,
            Picture { width: width.unsigned_abs() as usize, height: height.unsigned_abs() as usize, bgr },
        )))
    }

    /// Time of the frame that was just decoded.
    ///
    /// A stream without time stamps (raw H.264) reports 0 for every frame: its frames follow each other at the stated
    /// rate.
    fn time_secs(&mut self) -> Result<f64, Interruption> {
        let stated_interval_secs = if self.stated.fps > 0.0 { 1.0 / self.stated.fps } else { 0.0 };
        let stamp_secs = self.capture.get(CAP_PROP_POS_MSEC).unwrap_or(0.0) / 1000.0;
        if self.n_decoded == 0 {
            self.last_secs = if stamp_secs.is_finite() { stamp_secs.max(0.0) } else { 0.0 };
            self.last_interval_secs = stated_interval_secs;
            return Ok(self.last_secs);
        }
        let interval_secs =
            if stamp_secs > self.last_secs { stamp_secs - self.last_secs } else { stated_interval_secs };
        if interval_secs <= 0.0 {
            return Err(Interruption::failure(
                format!("{} has neither time stamps nor a frame rate", self.name),
                "re-encode it to mp4",
            ));
        }
        if interval_secs > MAX_GAP_SECS {
            return Err(Interruption::failure(
                format!(
                    "time stamps of {} jump from {} to {stamp_secs} seconds at frame {}",
                    self.name, self.last_secs, self.n_decoded
                ),
                "re-encode it with proper time stamps",
            ));
        }
        self.last_secs += interval_secs;
        self.last_interval_secs = interval_secs;
        Ok(self.last_secs)
    }

    /// Refuses a video that ends long before its container says: FFmpeg reports damage and a missing tail as a plain
    /// end.
    ///
    /// Some containers estimate the number of frames, so what is missing counts only from half a second and a tenth of
    /// the video on.
    fn check_end(&self) -> Result<(), Interruption> {
        let Stated { fps, n_frames, .. } = self.stated;
        if self.n_decoded == 0 {
            return Err(Interruption::failure(
                format!("no frame could be decoded from {}", self.name),
                "check that it is a whole video file with frames",
            ));
        }
        let stated_secs = if fps > 0.0 { n_frames as f64 / fps } else { 0.0 };
        let missing_secs = stated_secs - self.end_secs();
        if self.n_decoded < n_frames && missing_secs > 0.5 && missing_secs > 0.1 * stated_secs {
            return Err(Interruption::failure(
                format!("{} ends after frame {} of {n_frames}: it is cut off or damaged", self.name, self.n_decoded),
                format!("copy or record it again, or read only its first {} frames", self.n_decoded),
            ));
        }
        Ok(())
    }
}

impl Stated {
    /// The record for frames of the given size and rate.
    pub(crate) fn information(self, source: (u32, u32), frames: (u32, u32), fps: f64) -> Information {
        Information {
            width: frames.0,
            height: frames.1,
            source_width: source.0,
            source_height: source.1,
            fps,
            source_fps: self.fps,
            n_announced_frames: self.n_frames,
        }
    }
}

fn check_size(name: &str, width: u32, height: u32) -> Result<(), Interruption> {
    frame_bytes(width, height).map(|_| ()).map_err(|_| {
        Interruption::failure(
            format!("{name} has frames of {width}x{height} pixels: expected 1 to {MAX_SIDE} a side"),
            "scale the video down before it is read",
        )
    })
}
