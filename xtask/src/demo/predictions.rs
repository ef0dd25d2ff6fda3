//! What `egom2p run` wrote for a clip.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use egom2p_motion::Pose;

use super::array::Array;
use crate::console::failure;

/// Predictions for one clip.
pub(super) struct Predictions {
    /// Depth in [0, 1], near is large, one picture `[height, width]` per frame.
    pub(super) depth: Vec<Vec<f64>>,
    /// Height and width of a depth picture.
    pub(super) depth_size: (usize, usize),
    /// Where the wearer looks over time.
    pub(super) gaze: Vec<Gaze>,
    /// Camera poses over time, the first one the world.
    pub(super) poses: Vec<Pose>,
}

/// A point of the picture that is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gaze {
    pub(super) time_secs: f64,
    /// From the left edge, 0 to 1.
    pub(super) x: f64,
    /// From the upper edge, 0 to 1.
    pub(super) y: f64,
}

impl Predictions {
    /// Reads `depth.npy`, `gaze.csv` and `camera.npy` of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let depth = Array::read(&folder.join("depth.npy"))?;
        let [_, height, width] = depth.shape[..] else {
            return Err(unexpected("depth.npy", "[frames, height, width]", &depth.shape));
        };
        let camera = Array::read(&folder.join("camera.npy"))?;
        let [_, 4, 4] = camera.shape[..] else { return Err(unexpected("camera.npy", "[poses, 4, 4]", &camera.shape)) };
        Ok(Self {
            depth: depth.values.chunks_exact((height * width).max(1)).map(<[f64]>::to_vec).collect(),
            depth_size: (height, width),
            gaze: read_gaze(&folder.join("gaze.csv"))?,
            poses: Pose::from_matrices(&camera.values)?,
        })
    }
}

/// Reads lines of `time_secs,x,y` under a line with these names.
fn read_gaze(path: &Path) -> Result<Vec<Gaze>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read\nsee whether \"egom2p run\" wrote it", path.display()))?;
    let parse = |line: &str| {
        let values: Vec<f64> = line.split(',').map(|value| value.trim().parse().ok()).collect::<Option<_>>()?;
        let [time_secs, x, y] = values[..] else { return None };
        Some(Gaze { time_secs, x, y })
    };
    let lines = text.lines().skip(1).map(|line| {
        parse(line).ok_or_else(|| {
            failure(
                format_args!("{} has a line that is not time_secs,x,y: {line}", path.display()),
                "run the demo again",
            )
        })
    });
    lines.collect()
}

fn unexpected(name: &str, expected: &str, found: &[usize]) -> anyhow::Error {
    failure(format_args!("{name} has the wrong shape: expected {expected}, got {found:?}"), "build egom2p again")
}
