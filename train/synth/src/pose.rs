use crate::vector::Vector;

/// Where the camera is and how it is turned: camera axes (OpenCV: x right, y down, z forward) in world axes (right-handed,
/// z up, metres).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Pose {
    pub(crate) right: Vector,
    pub(crate) down: Vector,
    pub(crate) forward: Vector,
    pub(crate) position: Vector,
}

impl Pose {
    /// A camera that looks at the azimuth `yaw` (0 is world x, anticlockwise seen from above), `pitch` above the horizon,
    /// tilted by `roll` (positive lowers its right side); all in radians.
    pub(crate) fn new(position: Vector, yaw: f64, pitch: f64, roll: f64) -> Self {
        let forward = direction(yaw, pitch);
        let level = Vector::new(yaw.sin(), -yaw.cos(), 0.0);
        let below = forward.cross(level);
        let (sine, cosine) = roll.sin_cos();
        let right = level * cosine + below * sine;
        Self { right, down: forward.cross(right), forward, position }
    }

    /// The 4 x 4 matrix from camera to world, row-major.
    pub(crate) fn world_from_camera(&self) -> [f64; 16] {
        let (r, d, f, p) = (self.right, self.down, self.forward, self.position);
        [r.x, d.x, f.x, p.x, r.y, d.y, f.y, p.y, r.z, d.z, f.z, p.z, 0.0, 0.0, 0.0, 1.0]
    }

    /// A direction in world axes from one in camera axes.
    pub(crate) fn world_direction(&self, direction: Vector) -> Vector {
        self.right * direction.x + self.down * direction.y + self.forward * direction.z
    }

    /// A point in camera axes from one in world axes.
    pub(crate) fn camera_point(&self, point: Vector) -> Vector {
        let offset = point - self.position;
        Vector::new(self.right.dot(offset), self.down.dot(offset), self.forward.dot(offset))
    }
}

/// The unit vector of an azimuth and an elevation in radians.
pub(crate) fn direction(yaw: f64, pitch: f64) -> Vector {
    let (sine, cosine) = yaw.sin_cos();
    Vector::new(cosine * pitch.cos(), sine * pitch.cos(), pitch.sin())
}
