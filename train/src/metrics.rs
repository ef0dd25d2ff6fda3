//! What a training says about itself: JSON lines, TensorBoard events, a picture of the loss, and the data of a progress
//! line.
//!
//! Values have names: [`LOSS`], [`VALIDATION_LOSS`] and `loss/PART` are what the picture shows; all others go to the
//! files alike.

mod crc32c;
mod error;
mod events;
mod lines;
mod picture;
mod progress;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

pub use error::{MetricsError, Result};
pub use events::EventFile;
pub use lines::{MetricsLines, read_lines};
pub use picture::draw_loss;
pub use progress::{Progress, ProgressMeter};

/// The loss that is minimised.
pub const LOSS: &str = "loss";
/// The same on clips that are not trained on.
pub const VALIDATION_LOSS: &str = "validation/loss";
/// The name of the file of JSON lines.
pub const LINES_FILE: &str = "metrics.jsonl";
/// The name of the picture.
pub const PICTURE_FILE: &str = "loss.png";

/// The values of one step.
#[derive(Clone, PartialEq, Debug)]
pub struct StepMetrics {
    /// Steps that the optimiser has made.
    pub step: u64,
    /// When, in seconds since 1970.
    pub time_secs: f64,
    /// Numbers by name.
    pub values: BTreeMap<String, f64>,
}

/// The metrics files of one training: `metrics.jsonl`, `events.out.tfevents.*` and `loss.png` of a folder.
#[derive(Debug)]
pub struct MetricsFolder {
    path: PathBuf,
    lines: MetricsLines,
    events: EventFile,
}

impl StepMetrics {
    /// Values of this moment.
    pub fn now<N: Into<String>>(step: u64, values: impl IntoIterator<Item = (N, f64)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self { step, time_secs: now_secs(), values }
    }
}

impl MetricsFolder {
    /// The files of a new training, in a folder that has none yet.
    pub fn create(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(MetricsError::write(path))?;
        let lines = MetricsLines::create(&path.join(LINES_FILE))?;
        Ok(Self { path: path.to_owned(), lines, events: EventFile::create(path, None)? })
    }

    /// The files of a training that goes on from a checkpoint: what was said of later steps is taken back.
    pub fn resume(path: &Path, step: u64) -> Result<Self> {
        fs::create_dir_all(path).map_err(MetricsError::write(path))?;
        let lines = MetricsLines::resume(&path.join(LINES_FILE), step)?;
        Ok(Self { path: path.to_owned(), lines, events: EventFile::create(path, Some(step))? })
    }

    /// Appends the values of a step.
    pub fn write(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.lines.write(metrics)?;
        self.events.write(metrics)
    }

    /// Draws the loss so far and gives the picture's path.
    pub fn draw(&self) -> Result<PathBuf> {
        let picture = self.path.join(PICTURE_FILE);
        draw_loss(&self.path.join(LINES_FILE), &picture)?;
        Ok(picture)
    }
}

/// Seconds since 1970.
fn now_secs() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
