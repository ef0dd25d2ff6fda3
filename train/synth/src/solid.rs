use crate::surface::Surface;
use crate::vector::Vector;

/// A body with one surface.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Solid {
    pub(crate) centre: Vector,
    pub(crate) shape: Shape,
    pub(crate) surface: Surface,
    /// Radius of the ball around its centre that holds it.
    pub(crate) reach: f64,
}

/// What a body is like, about its centre.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Shape {
    /// A box with half its edges, turned about the vertical by an angle given as sine and cosine.
    Box { half: Vector, turn: (f64, f64) },
    /// A ball.
    Ball { radius: f64 },
    /// An upright cylinder with lids.
    Cylinder { radius: f64, half_height: f64 },
}

/// A point of a surface.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Touch {
    /// Out of the body, of length 1.
    pub(crate) normal: Vector,
    /// The surface's own coordinates in metres.
    pub(crate) u: f64,
    pub(crate) v: f64,
}

impl Solid {
    pub(crate) fn new(centre: Vector, shape: Shape, surface: Surface) -> Self {
        let reach = match shape {
            Shape::Box { half, .. } => half.length(),
            Shape::Ball { radius } => radius,
            Shape::Cylinder { radius, half_height } => radius.hypot(half_height),
        };
        Self { centre, shape, surface, reach }
    }

    /// How many times `direction` (of any length) leads from `origin` to the surface; `None` where the body is missed, is
    /// behind, or holds the origin.
    pub(crate) fn distance(&self, origin: Vector, direction: Vector) -> Option<f64> {
        let from = origin - self.centre;
        // Nearly all bodies are missed by nearly all rays: the ball around one says so first.
        let (along, square) = (from.dot(direction), direction.dot(direction));
        let beyond = from.dot(from) - self.reach * self.reach;
        if along * along < square * beyond || (along > 0.0 && beyond > 0.0) {
            return None;
        }
        match self.shape {
            Shape::Ball { radius } => ball(square, along, from.dot(from) - radius * radius),
            Shape::Box { half, turn: (sine, cosine) } => {
                let back = (-sine, cosine);
                slabs(from.turned(back), direction.turned(back), half)
            }
            Shape::Cylinder { radius, half_height } => cylinder(from, direction, radius, half_height),
        }
    }

    /// What the surface is like at a point of it.
    pub(crate) fn touch(&self, point: Vector) -> Touch {
        let offset = point - self.centre;
        match self.shape {
            Shape::Ball { radius } => {
                let normal = offset * (1.0 / radius);
                let u = radius * normal.y.atan2(normal.x);
                Touch { normal, u, v: radius * normal.z.clamp(-1.0, 1.0).asin() }
            }
            Shape::Cylinder { radius, half_height } => {
                let around = Vector::new(offset.x, offset.y, 0.0);
                if (offset.z.abs() - half_height).abs() < (around.length() - radius).abs() {
                    return Touch { normal: Vector::UP * offset.z.signum(), u: offset.x, v: offset.y };
                }
                let normal = around.unit();
                Touch { normal, u: radius * normal.y.atan2(normal.x), v: offset.z }
            }
            Shape::Box { half, turn: (sine, cosine) } => {
                let local = offset.turned((-sine, cosine));
                // The face is the one that the point is farthest out of.
                let (x, y, z) = (local.x.abs() - half.x, local.y.abs() - half.y, local.z.abs() - half.z);
                let (normal, u, v) = if z >= x && z >= y {
                    (Vector::UP * local.z.signum(), local.x, local.y)
                } else if x >= y {
                    (Vector::new(local.x.signum(), 0.0, 0.0), local.y, local.z)
                } else {
                    (Vector::new(0.0, local.y.signum(), 0.0), local.x, local.z)
                };
                Touch { normal: normal.turned((sine, cosine)), u, v }
            }
        }
    }
}

fn ball(square: f64, along: f64, beyond: f64) -> Option<f64> {
    let discriminant = along * along - square * beyond;
    if discriminant < 0.0 {
        return None;
    }
    let distance = (-along - discriminant.sqrt()) / square;
    (distance > 0.0).then_some(distance)
}

fn slabs(from: Vector, direction: Vector, half: Vector) -> Option<f64> {
    let (mut near, mut far) = (f64::NEG_INFINITY, f64::INFINITY);
    for (from, direction, half) in
        [(from.x, direction.x, half.x), (from.y, direction.y, half.y), (from.z, direction.z, half.z)]
    {
        // A direction of 0 gives infinities of the right signs, or a NaN on the very plane, which min and max ignore.
        let inverse = 1.0 / direction;
        let (a, b) = ((-half - from) * inverse, (half - from) * inverse);
        near = near.max(a.min(b));
        far = far.min(a.max(b));
    }
    (near > 0.0 && near <= far).then_some(near)
}

fn cylinder(from: Vector, direction: Vector, radius: f64, half_height: f64) -> Option<f64> {
    let square = direction.x * direction.x + direction.y * direction.y;
    let along = from.x * direction.x + from.y * direction.y;
    let beyond = from.x * from.x + from.y * from.y - radius * radius;
    let side = ball(square, along, beyond);
    let side = side.filter(|distance| (from.z + direction.z * distance).abs() <= half_height);
    let lid = (half_height * from.z.signum() - from.z) / direction.z;
    let (x, y) = (from.x + direction.x * lid, from.y + direction.y * lid);
    let on_lid = from.z.abs() > half_height && lid > 0.0 && x * x + y * y <= radius * radius;
    if on_lid { Some(side.map_or(lid, |side| side.min(lid))) } else { side }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Shape, Solid, Vector};
    use crate::surface::{Pattern, Surface};

    const PLAIN: Surface = Surface {
        pattern: Pattern::Noise,
        first: Vector::ZERO,
        second: Vector::ZERO,
        size: 1.0,
        seed: 0,
        glows: false,
    };

    /// Signed: negative inside, from the definition of each body.
    fn outside(shape: Shape, point: Vector) -> f64 {
        match shape {
            Shape::Ball { radius } => point.length() - radius,
            Shape::Cylinder { radius, half_height } => {
                (point.x.hypot(point.y) - radius).max(point.z.abs() - half_height)
            }
            Shape::Box { half, turn: (sine, cosine) } => {
                let x = point.x * cosine + point.y * sine;
                let y = point.y * cosine - point.x * sine;
                (x.abs() - half.x).max(y.abs() - half.y).max(point.z.abs() - half.z)
            }
        }
    }

    fn shape() -> impl Strategy<Value = Shape> {
        prop_oneof![
            (0.1..1.0).prop_map(|radius| Shape::Ball { radius }),
            (0.1..1.0, 0.1..1.0).prop_map(|(radius, half_height)| Shape::Cylinder { radius, half_height }),
            (0.1..1.0, 0.1..1.0, 0.1..1.0, 0.0..6.3).prop_map(|(x, y, z, angle): (f64, f64, f64, f64)| Shape::Box {
                half: Vector::new(x, y, z),
                turn: angle.sin_cos()
            }),
        ]
    }

    proptest! {
        #[test]
        fn rays_end_on_the_nearest_surface(
            shape in shape(), from in [-3.0..3.0, -3.0..3.0, -3.0..3.0], to in [-1.2..1.2, -1.2..1.2, -1.2..1.2],
        ) {
            let from = Vector::new(from[0], from[1], from[2]);
            let direction = (Vector::new(to[0], to[1], to[2]) - from) * 0.7;
            prop_assume!(outside(shape, from) > 0.01 && direction.length() > 0.1);
            let centre = Vector::new(5.0, -4.0, 3.0);
            let solid = Solid::new(centre, shape, PLAIN);
            // Marching in small steps finds the first point inside, if there is one.
            let marched = (1..20_000).map(|i| f64::from(i) * 5e-4).find(|t| outside(shape, from + direction * *t) < 0.0);
            match (solid.distance(from + centre, direction), marched) {
                (Some(distance), Some(marched)) => {
                    prop_assert!((distance - marched).abs() < 1e-3, "{distance} {marched}");
                    let touch = solid.touch(from + direction * distance + centre);
                    prop_assert!((touch.normal.length() - 1.0).abs() < 1e-9);
                    prop_assert!(touch.normal.dot(direction) <= 1e-9);
                    let (out, inside) = (touch.normal * 1e-4, touch.normal * -1e-4);
                    let point = from + direction * distance;
                    prop_assert!(outside(shape, point + out) > outside(shape, point + inside));
                }
                (None, None) => {}
                // A graze shorter than a step is not found by marching.
                (Some(distance), None) => prop_assert!(outside(shape, from + direction * distance).abs() < 1e-9),
                (None, Some(marched)) => prop_assert!(false, "missed at {marched}"),
            }
        }
    }
}
