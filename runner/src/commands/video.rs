use egom2p::video::{Crop, ReadOptions};
use egom2p_model::ModelConfig;

/// How a video becomes clips.
#[derive(clap::Args)]
#[command(next_help_heading = "Video")]
pub(crate) struct VideoArgs {
    /// Frames per second that the video is resampled to, by time stamps
    #[arg(long, value_name = "FPS", default_value_t = 8.0, value_parser = positive, allow_negative_numbers = true)]
    fps: f64,
    /// What is cut away before frames are scaled to the preset's size
    #[arg(long, value_enum, default_value_t)]
    crop: CropName,
    /// Where in the video to begin
    #[arg(long, value_name = "SECS", default_value_t = 0.0, value_parser = not_negative, allow_negative_numbers = true)]
    start_secs: f64,
    /// Predict at most this many clips of each video
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_clips: Option<u64>,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum CropName {
    /// All but the largest centred square
    #[default]
    Center,
    /// Nothing; other shapes are stretched
    None,
}

impl VideoArgs {
    /// What was typed, at the size of the preset's clips.
    pub(crate) fn read_options(&self, config: &ModelConfig) -> ReadOptions {
        ReadOptions {
            fps: Some(self.fps),
            size: Some((config.video.width as u32, config.video.height as u32)),
            crop: match self.crop {
                CropName::Center => Crop::Center,
                CropName::None => Crop::None,
            },
            max_frames: self.max_clips.map(|clips| clips.saturating_mul(config.video.frames as u64)),
            start_secs: self.start_secs,
        }
    }

    /// Frames per second of a clip.
    pub(crate) fn fps(&self) -> f64 {
        self.fps
    }
}

fn positive(text: &str) -> Result<f64, String> {
    finite(text).filter(|&value| value > 0.0).ok_or_else(|| format!("{text} is not a number above 0"))
}

fn not_negative(text: &str) -> Result<f64, String> {
    finite(text).filter(|&value| value >= 0.0).ok_or_else(|| format!("{text} is not a number of at least 0"))
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}
