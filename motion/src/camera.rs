use super::rotation::{from_columns, transpose};
use super::{MotionError, Pose};
use serde::{Deserialize, Serialize};

/// Channels of a camera frame: the first and the second column of its rotation, and its translation.
pub const CAMERA_CHANNELS: usize = 9;

/// Mean of every channel in the published training data (specification section 2.4).
pub const CAMERA_MEAN: [f64; CAMERA_CHANNELS] = [
    0.933_050_397_651_190_8,
    0.004_411_310_479_848_365,
    -0.004_745_505_205_447_648,
    -0.004_031_105_018_382_311,
    0.967_022_174_540_466_9,
    0.012_297_440_568_496_61,
    0.002_536_698_180_985_223_8,
    -0.002_534_521_133_857_395,
    0.036_870_884_698_946_94,
];

/// Standard deviation of every channel in the published training data.
pub const CAMERA_STD: [f64; CAMERA_CHANNELS] = [
    0.224_102_829_414_246_92,
    0.154_095_948_547_892_94,
    0.235_387_627_224_455_28,
    0.151_592_393_482_513,
    0.098_908_544_986_710_52,
    0.178_710_605_214_565_42,
    0.162_297_496_986_973_32,
    0.113_059_945_703_106_35,
    0.224_501_556_139_209_86,
];

/// What brings the channels of camera frames to mean 0 and standard deviation 1.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraNormalisation {
    /// The mean of every channel.
    pub mean: [f64; CAMERA_CHANNELS],
    /// The standard deviation of every channel; above 0.
    pub std: [f64; CAMERA_CHANNELS],
}

/// Poses relative to the first one, as 9 numbers per frame: first rotation column, second column, translation.
pub fn canonicalise(world_from_camera: &[Pose]) -> Result<Vec<[f64; CAMERA_CHANNELS]>, MotionError> {
    let first = world_from_camera.first().ok_or(MotionError::Empty)?;
    let first_from_world = first.inverse().ok_or(MotionError::Degenerate { frame: 0 })?;
    let nine = |pose: &Pose| {
        let relative = first_from_world.compose(pose);
        let [x, y, _] = transpose(&relative.rotation);
        let t = relative.translation;
        [x[0], x[1], x[2], y[0], y[1], y[2], t[0], t[1], t[2]]
    };
    Ok(world_from_camera.iter().map(nine).collect())
}

impl CameraNormalisation {
    /// Of the published training data.
    pub const PUBLISHED: Self = Self { mean: CAMERA_MEAN, std: CAMERA_STD };

    /// What the camera tokenizer takes, `[frames, 9]`: every channel less its mean, over its standard deviation, in fp64.
    /// Casting the result to fp32 gives the published input.
    pub fn normalise(&self, frames: &[[f64; CAMERA_CHANNELS]]) -> Vec<f64> {
        let normalise = |frame: &[f64; CAMERA_CHANNELS]| -> [f64; CAMERA_CHANNELS] {
            std::array::from_fn(|i| (frame[i] - self.mean[i]) / self.std[i])
        };
        frames.iter().flat_map(normalise).collect()
    }
}

/// [`CameraNormalisation::normalise`] by the published constants.
pub fn normalise_camera(frames: &[[f64; CAMERA_CHANNELS]]) -> Vec<f64> {
    CameraNormalisation::PUBLISHED.normalise(frames)
}

/// The 9 numbers per frame of what the camera decoder gives, `[frames, 9]`, in the published fp32 arithmetic.
pub fn denormalise_camera(decoded: &[f32]) -> Result<Vec<[f32; CAMERA_CHANNELS]>, MotionError> {
    let (frames, rest) = decoded.as_chunks::<CAMERA_CHANNELS>();
    if !rest.is_empty() {
        return Err(MotionError::Shape { n_values: decoded.len(), n_channels: CAMERA_CHANNELS });
    }
    let denormalise = |frame: &[f32; CAMERA_CHANNELS]| {
        std::array::from_fn(|i| {
            let (shift, scale) = ((CAMERA_MEAN[i] / CAMERA_STD[i]) as f32, (1.0 / CAMERA_STD[i]) as f32);
            (frame[i] + shift) / scale
        })
    };
    Ok(frames.iter().map(denormalise).collect())
}

/// Poses from 9 numbers per frame; the two columns need not be orthonormal (specification section 2.5). The result is
/// relative to frame 0 of the clip, which is close to, but not forced to be, the identity.
pub fn world_from_camera<T: Copy + Into<f64>>(frames: &[[T; CAMERA_CHANNELS]]) -> Result<Vec<Pose>, MotionError> {
    let pose = |(frame, nine): (usize, &[T; CAMERA_CHANNELS])| {
        let v = nine.map(Into::into);
        if !v.iter().all(|value| value.is_finite()) {
            return Err(MotionError::NotFinite { frame });
        }
        let rotation = from_columns([v[0], v[1], v[2]], [v[3], v[4], v[5]]);
        let rotation = rotation.ok_or(MotionError::Degenerate { frame })?;
        Ok(Pose { rotation, translation: [v[6], v[7], v[8]] })
    };
    frames.iter().enumerate().map(pose).collect()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::{Pose, canonicalise, denormalise_camera, normalise_camera, world_from_camera};
    use crate::MotionError;

    #[test]
    fn the_first_frame_is_the_identity() {
        let mut turned = Pose { rotation: [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], ..Pose::IDENTITY };
        turned.translation = [3.0, 1.0, 2.0];
        let frames = canonicalise(&[turned, Pose::IDENTITY]).expect("poses");
        assert_eq!(frames[0], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let poses = world_from_camera(&frames).expect("rotations");
        assert_eq!(turned.compose(&poses[1]), Pose::IDENTITY);
    }

    #[test]
    fn normalisation_goes_there_and_back() {
        let frame = [0.9, 0.1, -0.2, 0.0, 1.0, 0.3, 0.5, -0.5, 1.5];
        let normalised: Vec<f32> = normalise_camera(&[frame]).into_iter().map(|value| value as f32).collect();
        let back = denormalise_camera(&normalised).expect("whole frames");
        assert!(back[0].iter().zip(frame).all(|(&a, b)| (f64::from(a) - b).abs() < 1e-6), "{back:?}");
    }

    #[test]
    fn hostile_frames_are_errors() {
        assert_eq!(canonicalise(&[]), Err(MotionError::Empty));
        assert!(denormalise_camera(&[0.0; 10]).is_err());
        assert_eq!(world_from_camera(&[[0.0_f32; 9]]), Err(MotionError::Degenerate { frame: 0 }));
        assert_eq!(world_from_camera(&[[f64::NAN; 9]]), Err(MotionError::NotFinite { frame: 0 }));
        let flat = Pose { rotation: [[0.0; 3]; 3], translation: [0.0; 3] };
        assert_eq!(canonicalise(&[flat]), Err(MotionError::Degenerate { frame: 0 }));
    }
}
