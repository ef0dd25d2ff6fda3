use crate::vector::Vector;

/// The whole horizontal field of view of every clip.
pub const FIELD_OF_VIEW_DEGREES: f64 = 90.0;

/// A pinhole without distortion and with square pixels, whose optical axis goes through the middle of the picture.
///
/// Pixel coordinates are continuous: the middle of the pixel in column `j` and row `i` is `(j + 0.5, i + 0.5)`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Camera {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Focal length in pixels.
    pub focal: f64,
}

impl Camera {
    /// The camera of every clip of this size in pixels: [`FIELD_OF_VIEW_DEGREES`] across.
    pub fn new(width: usize, height: usize) -> Self {
        let focal = 0.5 * width as f64 / (0.5 * FIELD_OF_VIEW_DEGREES.to_radians()).tan();
        Self { width, height, focal }
    }

    /// The direction of a point of the picture in camera axes (x right, y down, z forward), with z = 1: a surface that is
    /// hit after `t` of these has the depth `t`.
    pub(crate) fn ray(&self, x: f64, y: f64) -> Vector {
        let (x0, y0) = self.middle();
        Vector::new((x - x0) / self.focal, (y - y0) / self.focal, 1.0)
    }

    /// Where a point in camera axes is seen; `None` for what is not in front. The result may be outside of the picture.
    pub(crate) fn project(&self, point: Vector) -> Option<[f64; 2]> {
        let (x0, y0) = self.middle();
        (point.z > 1e-3).then(|| [x0 + self.focal * point.x / point.z, y0 + self.focal * point.y / point.z])
    }

    /// Whether a point of the picture is at least `margin` times the picture's size away from its edge.
    pub(crate) fn contains(&self, [x, y]: [f64; 2], margin: f64) -> bool {
        let (width, height) = (self.width as f64, self.height as f64);
        let inside = |value: f64, size: f64| value >= margin * size && value <= (1.0 - margin) * size;
        inside(x, width) && inside(y, height)
    }

    fn middle(&self) -> (f64, f64) {
        (0.5 * self.width as f64, 0.5 * self.height as f64)
    }
}
