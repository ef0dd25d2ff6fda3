use std::ops::{Add, Mul, Neg, Sub};

/// A point or a direction in metres, or a colour (red, green, blue from 0 to 1).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Vector {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
}

impl Vector {
    pub(crate) const ZERO: Self = Self::new(0.0, 0.0, 0.0);
    pub(crate) const UP: Self = Self::new(0.0, 0.0, 1.0);

    pub(crate) const fn new(x: f64, y: f64, z: f64) -> Self {
        Self { x, y, z }
    }

    pub(crate) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(crate) fn cross(self, other: Self) -> Self {
        Self::new(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(crate) fn length(self) -> f64 {
        self.dot(self).sqrt()
    }

    /// The same direction with length 1; not for the zero vector.
    pub(crate) fn unit(self) -> Self {
        self * (1.0 / self.length())
    }

    /// Product by component: light on a colour.
    pub(crate) fn tinted(self, other: Self) -> Self {
        Self::new(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    /// This at 0, the other at 1.
    pub(crate) fn mixed(self, other: Self, share: f64) -> Self {
        self + (other - self) * share
    }

    /// Turned about the vertical by an angle that is given by its sine and cosine, anticlockwise seen from above.
    pub(crate) fn turned(self, (sine, cosine): (f64, f64)) -> Self {
        Self::new(self.x * cosine - self.y * sine, self.x * sine + self.y * cosine, self.z)
    }

    /// The angle to another direction in radians; neither is zero.
    pub(crate) fn angle(self, other: Self) -> f64 {
        self.cross(other).length().atan2(self.dot(other))
    }
}

impl Add for Vector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vector {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Mul<f64> for Vector {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::new(self.x * factor, self.y * factor, self.z * factor)
    }
}
