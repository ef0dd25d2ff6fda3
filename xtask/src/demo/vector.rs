//! Points, directions and colours.

use std::ops::{Add, Mul, Neg, Sub};

/// Three coordinates in metres (x right, y up, z forward), or a linear colour (red, green, blue).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vector(pub(super) f32, pub(super) f32, pub(super) f32);

impl Vector {
    pub(super) fn dot(self, other: Self) -> f32 {
        self.0 * other.0 + self.1 * other.1 + self.2 * other.2
    }

    pub(super) fn cross(self, other: Self) -> Self {
        Self(
            self.1 * other.2 - self.2 * other.1,
            self.2 * other.0 - self.0 * other.2,
            self.0 * other.1 - self.1 * other.0,
        )
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length())
    }

    /// Product by component, for light on a colour.
    pub(super) fn tinted(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 * other.1, self.2 * other.2)
    }

    /// The way from here to another, `0` here and `1` there.
    pub(super) fn mixed(self, other: Self, share: f32) -> Self {
        self * (1.0 - share) + other * share
    }

    /// Turned about the vertical axis by an angle in radians.
    pub(super) fn turned(self, angle: f32) -> Self {
        let (sine, cosine) = angle.sin_cos();
        Self(self.0 * cosine + self.2 * sine, self.1, self.2 * cosine - self.0 * sine)
    }
}

impl Add for Vector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1, self.2 + other.2)
    }
}

impl Sub for Vector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul<f32> for Vector {
    type Output = Self;

    fn mul(self, factor: f32) -> Self {
        Self(self.0 * factor, self.1 * factor, self.2 * factor)
    }
}

impl Neg for Vector {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}
