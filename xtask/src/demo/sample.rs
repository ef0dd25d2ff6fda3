//! The sample: a synthetic clip that no training saw, with its truth.

use std::path::Path;

use anyhow::Result;
use egom2p_motion::Pose;

use super::{array::Archive, predictions::Gaze};
use crate::console::failure;

/// Frames per second of the clip, those of the model.
pub(super) const FPS: f64 = 8.0;
/// Gaze samples and poses per second.
pub(super) const MOTION_FPS: f64 = 30.0;

/// A clip with what was to be seen in it, and what is predicted by who looks at no clip.
pub(super) struct Sample {
    /// Pixels across and down of a frame.
    pub(super) side: usize,
    /// RGB bytes `[side, side, 3]`, one picture per frame.
    pub(super) frames: Vec<Vec<u8>>,
    /// Depth in metres `[side, side]`, one picture per frame.
    pub(super) depth: Vec<Vec<f64>>,
    /// The least and the greatest inverse depth of the clip in 1/m, which the model's depth calls 0 and 1.
    pub(super) inverse_depth_range: (f64, f64),
    /// Camera poses at 30 per second, the first one the world.
    pub(super) poses: Vec<Pose>,
    /// Where the wearer looks, at 30 per second; not finite where that was not measured.
    pub(super) gaze: Vec<Gaze>,
    /// The mean of the training clips' depth `[side, side]`, as the model says it: 0 to 1, near is large.
    pub(super) naive_depth: Vec<f64>,
    /// The mean of the training clips' gaze.
    pub(super) naive_gaze: (f64, f64),
}

impl Sample {
    /// Reads the archive that `sample.py` beside it makes.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let archive = Archive::open(path)?;
        let rgb = archive.array("rgb")?;
        let [n_frames, side, width, 3] = rgb.shape[..] else { return Err(unexpected(path, "rgb")) };
        let n_pixels = side * side;
        let sized = |name: &str, n_values: usize| {
            let values = archive.array(name)?.values;
            if values.len() == n_values { Ok(values) } else { Err(unexpected(path, name)) }
        };
        if side == 0 || width != side {
            return Err(unexpected(path, "rgb"));
        }
        let depth = sized("depth_mm", n_frames * n_pixels)?;
        let pair = |name: &str| match archive.array(name)?.values[..] {
            [one, other] => Ok((one, other)),
            _ => Err(unexpected(path, name)),
        };
        let poses = Pose::from_matrices(&archive.array("world_from_camera")?.values)?;
        let first = poses.first().and_then(Pose::inverse).ok_or_else(|| unexpected(path, "world_from_camera"))?;
        let gaze = archive.array("gaze")?.values;
        let gaze = gaze.as_chunks::<2>().0.iter().enumerate();
        Ok(Self {
            side,
            frames: rgb
                .values
                .chunks_exact(n_pixels * 3)
                .map(|frame| frame.iter().map(|v| *v as u8).collect())
                .collect(),
            depth: depth.chunks_exact(n_pixels).map(|frame| frame.iter().map(|mm| mm / 1000.0).collect()).collect(),
            inverse_depth_range: pair("inverse_depth_range")?,
            poses: poses.iter().map(|pose| first.compose(pose)).collect(),
            gaze: gaze.map(|(i, [x, y])| Gaze { time_secs: i as f64 / MOTION_FPS, x: *x, y: *y }).collect(),
            naive_depth: sized("naive_depth", n_pixels)?,
            naive_gaze: pair("naive_gaze")?,
        })
    }

    /// Depth in metres from the model's 0 to 1.
    pub(super) fn metres(&self, depth: f64) -> f64 {
        let (low, high) = self.inverse_depth_range;
        1.0 / (low + depth.clamp(0.0, 1.0) * (high - low))
    }

    /// The model's 0 to 1 from depth in metres.
    pub(super) fn depth(&self, metres: f64) -> f64 {
        let (low, high) = self.inverse_depth_range;
        (1.0 / metres - low) / (high - low)
    }
}

fn unexpected(path: &Path, name: &str) -> anyhow::Error {
    failure(
        format_args!("array {name} of {} does not have the shape of a clip", path.display()),
        "take the file from the repository again",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Pose, Sample};

    #[test]
    fn the_clip_that_ships_is_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(super::super::SAMPLE);
        let sample = Sample::read(&path).expect("the clip is in the repository");
        assert_eq!((sample.side, sample.frames.len(), sample.depth.len()), (64, 16, 16));
        assert_eq!((sample.poses.len(), sample.gaze.len()), (60, 60));
        let [first, identity] = [sample.poses[0], Pose::IDENTITY].map(|pose| pose.matrix());
        assert!(first.into_iter().zip(identity).all(|(one, other)| (one - other).abs() < 1e-9));
        // The range is that of the depth itself, which is stored to a millimetre.
        let (nearest, farthest) =
            sample.depth.iter().flatten().fold((f64::INFINITY, 0.0_f64), |(nearest, farthest), metres| {
                (nearest.min(*metres), farthest.max(*metres))
            });
        assert!((sample.metres(1.0) - nearest).abs() < 1e-3 && (sample.metres(0.0) - farthest).abs() < 1e-3);
        let measured = sample.gaze.iter().filter(|gaze| gaze.x.is_finite());
        assert!(measured.clone().all(|gaze| (0.0..=1.0).contains(&gaze.x) && (0.0..=1.0).contains(&gaze.y)));
        assert!((30..60).contains(&measured.count()));
    }
}
