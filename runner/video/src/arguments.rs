//! The command line.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand, ValueEnum};
use egom2p_video_protocol::frame_bytes;

/// Reads and writes videos through OpenCV for `egom2p`; frames travel over standard input and output.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send what a video holds: size, frame rate and number of frames as its container states them.
    Probe {
        /// The video.
        path: PathBuf,
    },
    /// Send the frames of a video.
    Read(Reading),
    /// Write a video from frames on standard input.
    Write(Writing),
}

/// Send the frames of a video.
#[derive(Debug, Args)]
pub(crate) struct Reading {
    /// The video.
    pub(crate) path: PathBuf,
    /// Resample to this many frames per second; without it every frame is sent with its own time.
    #[arg(long, value_parser = rate)]
    pub(crate) fps: Option<f64>,
    /// Scale to this size: N for a square or `WIDTHxHEIGHT`.
    #[arg(long)]
    pub(crate) size: Option<FrameSize>,
    /// What to cut away before scaling.
    #[arg(long, value_enum, default_value_t = Crop::None)]
    pub(crate) crop: Crop,
    /// Stop after this many frames.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) frames: Option<u64>,
    /// Begin at this time of the video.
    #[arg(long, value_parser = start, default_value_t = 0.0)]
    pub(crate) start_secs: f64,
}

/// Write a video from frames on standard input.
#[derive(Debug, Args)]
pub(crate) struct Writing {
    /// The video; its extension chooses the container.
    pub(crate) path: PathBuf,
    /// Frames per second.
    #[arg(long, value_parser = rate)]
    pub(crate) fps: f64,
    /// Size of the frames, `WIDTHxHEIGHT`, both even.
    #[arg(long)]
    pub(crate) size: FrameSize,
    /// How frames are coded.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    pub(crate) codec: Codec,
}

/// What to cut away before scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Crop {
    /// Keep the largest centred part that has the shape of the target (a square without a target).
    Center,
    /// Keep everything; scaling to another shape stretches.
    None,
}

/// How frames are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    /// H.264, which every player shows; loses detail.
    H264,
    /// MPEG-4 part 2; loses detail.
    Mpeg4,
    /// FFV1, lossless; wants `.mkv` or `.avi`.
    Ffv1,
}

/// Width and height of a frame in pixels, both within the limits of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameSize {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl FromStr for FrameSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        let side = |side: &str| side.parse().map_err(|_| format!("expected N or WIDTHxHEIGHT, got {text}"));
        let size = Self { width: side(width)?, height: side(height)? };
        frame_bytes(size.width, size.height).map_err(|error| error.to_string())?;
        Ok(size)
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let fps: f64 = text.parse().map_err(|_| format!("expected a number, got {text}"))?;
    if (0.01..=1000.0).contains(&fps) {
        Ok(fps)
    } else {
        Err(format!("expected 0.01 to 1000 frames per second, got {text}"))
    }
}

fn start(text: &str) -> Result<f64, String> {
    let secs: f64 = text.parse().map_err(|_| format!("expected a number, got {text}"))?;
    if (0.0..=1e7).contains(&secs) { Ok(secs) } else { Err(format!("expected 0 to 10000000 seconds, got {text}")) }
}
