use super::MotionError;
use super::rotation::{self, Matrix, Vector};

/// A rigid placement in space: the camera's axes and origin in another frame (`world_from_camera`), OpenCV axes
/// (x right, y down, z forward), metres.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pose {
    /// Rotation matrix, row-major.
    pub rotation: [[f64; 3]; 3],
    /// Origin of the camera.
    pub translation: [f64; 3],
}

impl Pose {
    /// The pose that changes nothing.
    pub const IDENTITY: Self =
        Self { rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], translation: [0.0; 3] };

    /// Reads row-major 4x4 matrices, `[frames, 4, 4]`. Fails unless every value is finite and every last row is 0 0 0 1.
    pub fn from_matrices(values: &[f64]) -> Result<Vec<Self>, MotionError> {
        let (frames, rest) = values.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(MotionError::Shape { n_values: values.len(), n_channels: 16 });
        }
        let pose = |(frame, m): (usize, &[f64; 16])| {
            if !m.iter().all(|value| value.is_finite()) {
                return Err(MotionError::NotFinite { frame });
            }
            if m[12..] != [0.0, 0.0, 0.0, 1.0] {
                return Err(MotionError::LastRow { frame });
            }
            Ok(Self {
                rotation: [[m[0], m[1], m[2]], [m[4], m[5], m[6]], [m[8], m[9], m[10]]],
                translation: [m[3], m[7], m[11]],
            })
        };
        frames.iter().enumerate().map(pose).collect()
    }

    /// The row-major 4x4 matrix.
    pub fn matrix(&self) -> [f64; 16] {
        let (r, t) = (self.rotation, self.translation);
        [
            r[0][0], r[0][1], r[0][2], t[0], //
            r[1][0], r[1][1], r[1][2], t[1], //
            r[2][0], r[2][1], r[2][2], t[2], //
            0.0, 0.0, 0.0, 1.0,
        ]
    }

    /// The rotation as a unit quaternion `[x, y, z, w]` with w >= 0.
    pub fn quaternion(&self) -> [f64; 4] {
        rotation::quaternion(&self.rotation)
    }

    /// This pose after `other`: `a_from_b.compose(b_from_c)` is `a_from_c`.
    #[must_use]
    pub fn compose(&self, other: &Self) -> Self {
        let moved = rotation::transform(&self.rotation, other.translation);
        let translation = std::array::from_fn(|i| moved[i] + self.translation[i]);
        Self { rotation: rotation::multiply(&self.rotation, &other.rotation), translation }
    }

    /// The opposite pose (`b_from_a` of `a_from_b`), by the inverse of the matrix, which need not be exactly
    /// orthonormal; `None` where it has none.
    pub fn inverse(&self) -> Option<Self> {
        let rotation: Matrix = rotation::inverse(&self.rotation)?;
        let translation: Vector = rotation::transform(&rotation, self.translation).map(|value| -value);
        Some(Self { rotation, translation })
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::{MotionError, Pose};

    #[test]
    fn matrices_go_there_and_back() {
        let mut values = Pose::IDENTITY.matrix();
        values[3] = 2.5;
        let poses = Pose::from_matrices(&values).expect("a pose");
        assert_eq!(poses[0].matrix(), values);
        assert_eq!(poses[0].compose(&poses[0].inverse().expect("invertible")), Pose::IDENTITY);
    }

    #[test]
    fn matrices_that_are_no_poses_are_refused() {
        let good = Pose::IDENTITY.matrix();
        let with = |at: usize, value: f64| {
            let mut values = good;
            values[at] = value;
            Pose::from_matrices(&values)
        };
        assert_eq!(with(7, f64::NAN), Err(MotionError::NotFinite { frame: 0 }));
        assert_eq!(with(12, 0.5), Err(MotionError::LastRow { frame: 0 }));
        assert_eq!(Pose::from_matrices(&good[..15]), Err(MotionError::Shape { n_values: 15, n_channels: 16 }));
    }
}
