//! The program that holds OpenCV, and what it can be asked for.

use std::{
    env,
    ffi::OsString,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use egom2p_video_protocol::{Information, MAX_SIDE, Record};

use super::{VideoError, VideoReader, VideoWriter, process::Process};

/// File name of the video program.
pub const PROGRAM_NAME: &str = "egom2p-video";
/// Environment variable with the path of the video program.
pub const PROGRAM_VARIABLE: &str = "EGOM2P_VIDEO";

/// The program `egom2p-video`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoProgram {
    path: PathBuf,
}

/// Which frames of a video are read, and at which size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadOptions {
    /// Resample to this rate in frames per second: an instant `start_secs + k / fps` shows the last frame whose time
    /// rounds to it or to an earlier instant, as ffmpeg's `fps` filter does. `None` gives every frame with its own
    /// time.
    pub fps: Option<f64>,
    /// Scale to this `(width, height)` with a Lanczos filter; frames that have it already pass unchanged. `None` keeps
    /// the size.
    pub size: Option<(u32, u32)>,
    /// What is cut away before scaling.
    pub crop: Crop,
    /// Stop after this many frames.
    pub max_frames: Option<u64>,
    /// Begin at this time of the video in seconds.
    pub start_secs: f64,
}

/// What is cut away before scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Crop {
    /// Nothing; scaling to another shape stretches.
    #[default]
    None,
    /// All but the largest centred part that has the shape of the target (a square where no size is given).
    Center,
}

/// What a written video looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WriteOptions {
    /// Frames per second.
    pub fps: f64,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// How frames are coded.
    pub codec: Codec,
}

/// How frames are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, which every player shows; loses detail.
    H264,
    /// MPEG-4 part 2; loses detail.
    Mpeg4,
    /// FFV1, lossless; the path must end in `.mkv` or `.avi`.
    Ffv1,
}

impl VideoProgram {
    /// Finds the program: the path in [`PROGRAM_VARIABLE`] where it is set, else beside the running program.
    pub fn find() -> Result<Self, VideoError> {
        let path = match env::var_os(PROGRAM_VARIABLE) {
            Some(path) => PathBuf::from(path),
            None => env::current_exe().unwrap_or_default().with_file_name(PROGRAM_NAME),
        };
        if path.is_file() { Ok(Self { path }) } else { Err(VideoError::ProgramMissing { searched: path }) }
    }

    /// The program at a path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the program is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the container of a video states, without decoding it; the size is the container's.
    pub fn probe(&self, path: &Path) -> Result<Information, VideoError> {
        let mut process = Process::start(&self.path, &["probe".into(), "--".into(), path.into()], path)?;
        match process.receive()? {
            Record::Information(information) => Ok(information),
            record => Err(process.unexpected(&record)),
        }
    }

    /// Starts reading a video; returns once its first frame is decoded.
    pub fn read(&self, path: &Path, options: &ReadOptions) -> Result<VideoReader, VideoError> {
        options.check()?;
        let mut arguments: Vec<OsString> = vec!["read".into()];
        let mut option = |name: &str, value: String| arguments.extend([name.into(), value.into()]);
        if let Some(fps) = options.fps {
            option("--fps", fps.to_string());
        }
        if let Some((width, height)) = options.size {
            option("--size", format!("{width}x{height}"));
        }
        if let Some(max_frames) = options.max_frames {
            option("--frames", max_frames.to_string());
        }
        option("--start-secs", options.start_secs.to_string());
        option(
            "--crop",
            match options.crop {
                Crop::None => "none".to_owned(),
                Crop::Center => "center".to_owned(),
            },
        );
        arguments.extend(["--".into(), path.into()]);
        VideoReader::new(Process::start(&self.path, &arguments, path)?)
    }

    /// Starts writing a video, which takes its path when it is finished.
    pub fn create(&self, path: &Path, options: &WriteOptions) -> Result<VideoWriter, VideoError> {
        check_rate(options.fps)?;
        check_size(options.width, options.height)?;
        let codec = match options.codec {
            Codec::H264 => "h264",
            Codec::Mpeg4 => "mpeg4",
            Codec::Ffv1 => "ffv1",
        };
        let arguments = [
            "write".into(),
            "--fps".into(),
            options.fps.to_string().into(),
            "--size".into(),
            format!("{}x{}", options.width, options.height).into(),
            "--codec".into(),
            codec.into(),
            "--".into(),
            path.into(),
        ];
        VideoWriter::new(Process::start(&self.path, &arguments, path)?, options)
    }
}

impl ReadOptions {
    /// Refuses what the video program would call wrong usage.
    fn check(&self) -> Result<(), VideoError> {
        self.fps.map_or(Ok(()), check_rate)?;
        self.size.map_or(Ok(()), |(width, height)| check_size(width, height))?;
        in_range("start", self.start_secs, 0.0..=1e7, "0 to 10000000 seconds")?;
        self.max_frames.map_or(Ok(()), |count| in_range("frame limit", count as f64, 1.0..=f64::MAX, "at least 1"))
    }
}

fn check_rate(fps: f64) -> Result<(), VideoError> {
    in_range("frame rate", fps, 0.01..=1000.0, "0.01 to 1000 frames per second")
}

fn check_size(width: u32, height: u32) -> Result<(), VideoError> {
    let sides = 1.0..=f64::from(MAX_SIDE);
    in_range("width", width.into(), sides.clone(), "1 to 8192 pixels")?;
    in_range("height", height.into(), sides, "1 to 8192 pixels")
}

fn in_range(
    setting: &'static str,
    found: f64,
    range: RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), VideoError> {
    if range.contains(&found) { Ok(()) } else { Err(VideoError::OutOfRange { setting, found, expected }) }
}
