//! Things that a ray can hit.

use super::vector::Vector;

/// Nearer hits are the surface that the ray left.
const NEAREST: f32 = 1e-3;

/// A half line with a unit direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ray {
    pub(super) from: Vector,
    pub(super) direction: Vector,
}

/// A solid.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A box that stands upright, turned about the vertical axis.
    Box { center: Vector, half: Vector, angle: f32 },
    /// A cylinder that stands upright.
    Cylinder { base: Vector, radius: f32, height: f32 },
    /// All points closer than the radius to the line between two points; a sphere where they are the same.
    Capsule { from: Vector, to: Vector, radius: f32 },
}

/// Where a ray meets a surface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) distance: f32,
    pub(super) normal: Vector,
}

impl Ray {
    pub(super) fn at(self, distance: f32) -> Vector {
        self.from + self.direction * distance
    }
}

impl Shape {
    /// The first surface of this solid on the ray.
    pub(super) fn hit(&self, ray: Ray) -> Option<Hit> {
        match *self {
            Self::Box { center, half, angle } => {
                let local = Ray { from: (ray.from - center).turned(-angle), direction: ray.direction.turned(-angle) };
                hit_box(half, local).map(|hit| Hit { normal: hit.normal.turned(angle), ..hit })
            }
            Self::Cylinder { base, radius, height } => hit_cylinder(base, radius, height, ray),
            Self::Capsule { from, to, radius } => hit_capsule(from, to, radius, ray),
        }
    }

    /// Center and radius of a ball around this solid.
    pub(super) fn ball(&self) -> (Vector, f32) {
        match *self {
            Self::Box { center, half, .. } => (center, half.length()),
            Self::Cylinder { base, radius, height } => {
                (base + Vector(0.0, height / 2.0, 0.0), radius.hypot(height / 2.0))
            }
            Self::Capsule { from, to, radius } => (from.mixed(to, 0.5), radius + (to - from).length() / 2.0),
        }
    }
}

fn hit_box(half: Vector, ray: Ray) -> Option<Hit> {
    let axes = [
        (ray.from.0, ray.direction.0, half.0, Vector(1.0, 0.0, 0.0)),
        (ray.from.1, ray.direction.1, half.1, Vector(0.0, 1.0, 0.0)),
        (ray.from.2, ray.direction.2, half.2, Vector(0.0, 0.0, 1.0)),
    ];
    let mut entered = Hit { distance: f32::NEG_INFINITY, normal: Vector(0.0, 0.0, 0.0) };
    let mut left = f32::INFINITY;
    for (from, direction, half, axis) in axes {
        let near = (-half * direction.signum() - from) / direction;
        let far = (half * direction.signum() - from) / direction;
        if near > entered.distance {
            entered = Hit { distance: near, normal: axis * -direction.signum() };
        }
        left = left.min(far);
    }
    (entered.distance > NEAREST && entered.distance < left).then_some(entered)
}

fn hit_cylinder(base: Vector, radius: f32, height: f32, ray: Ray) -> Option<Hit> {
    let from = ray.from - base;
    let (along, across) = (ray.direction.1, Vector(ray.direction.0, 0.0, ray.direction.2));
    let side =
        quadratic(across.dot(across), across.dot(from), Vector(from.0, 0.0, from.2).length().powi(2) - radius * radius)
            .filter(|distance| (0.0..=height).contains(&(from.1 + along * distance)))
            .map(|distance| {
                let point = from + ray.direction * distance;
                Hit { distance, normal: Vector(point.0, 0.0, point.2) * (1.0 / radius) }
            });
    let distance = (height - from.1) / along;
    let point = from + ray.direction * distance;
    let on_top = distance > NEAREST && along < 0.0 && Vector(point.0, 0.0, point.2).length() <= radius;
    let top = on_top.then_some(Hit { distance, normal: Vector(0.0, 1.0, 0.0) });
    nearer(side, top)
}

fn hit_capsule(from: Vector, to: Vector, radius: f32, ray: Ray) -> Option<Hit> {
    let axis = to - from;
    let length_squared = axis.dot(axis).max(1e-12);
    let offset = ray.from - from;
    let across = |vector: Vector| vector - axis * (vector.dot(axis) / length_squared);
    let (direction, start) = (across(ray.direction), across(offset));
    let side = quadratic(direction.dot(direction), direction.dot(start), start.dot(start) - radius * radius)
        .filter(|distance| (0.0..=1.0).contains(&((offset + ray.direction * *distance).dot(axis) / length_squared)))
        .map(|distance| Hit { distance, normal: (start + direction * distance) * (1.0 / radius) });
    let end = |center: Vector| {
        let offset = ray.from - center;
        let distance = quadratic(1.0, ray.direction.dot(offset), offset.dot(offset) - radius * radius)?;
        Some(Hit { distance, normal: (offset + ray.direction * distance) * (1.0 / radius) })
    };
    nearer(side, nearer(end(from), end(to)))
}

/// The smaller root of `a x^2 + 2 b x + c` that lies in front.
fn quadratic(a: f32, b: f32, c: f32) -> Option<f32> {
    let discriminant = b * b - a * c;
    if a <= 0.0 || discriminant < 0.0 {
        return None;
    }
    Some((-b - discriminant.sqrt()) / a).filter(|root| *root > NEAREST)
}

/// The nearer of two hits.
pub(super) fn nearer(one: Option<Hit>, other: Option<Hit>) -> Option<Hit> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.distance <= other.distance { one } else { other }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ray, Shape};
    use crate::demo::vector::Vector;

    /// Distance and normal along +z from the origin.
    fn straight(shape: Shape) -> Option<(f32, Vector)> {
        let ray = Ray { from: Vector(0.0, 0.0, 0.0), direction: Vector(0.0, 0.0, 1.0) };
        shape.hit(ray).map(|hit| (hit.distance, hit.normal))
    }

    #[test]
    fn shapes_are_hit_on_their_near_side() {
        let center = Vector(0.0, 0.0, 5.0);
        let near = Vector(0.0, 0.0, -1.0);
        let (distance, normal) =
            straight(Shape::Box { center, half: Vector(1.0, 1.0, 1.0), angle: 0.0 }).expect("a hit");
        assert!((distance - 4.0).abs() < 1e-5 && (normal - near).length() < 1e-5);
        let (distance, normal) = straight(Shape::Capsule { from: center, to: center, radius: 2.0 }).expect("a hit");
        assert!((distance - 3.0).abs() < 1e-5 && (normal - near).length() < 1e-5);
        let cylinder = Shape::Cylinder { base: Vector(0.0, -1.0, 5.0), radius: 0.5, height: 2.0 };
        let (distance, normal) = straight(cylinder).expect("a hit");
        assert!((distance - 4.5).abs() < 1e-5 && (normal - near).length() < 1e-5);
    }

    #[test]
    fn a_turned_box_shows_its_edge() {
        let shape = Shape::Box {
            center: Vector(0.0, 0.0, 5.0),
            half: Vector(1.0, 1.0, 1.0),
            angle: std::f32::consts::FRAC_PI_4,
        };
        let (distance, _) = straight(shape).expect("a hit");
        assert!((distance - (5.0 - 2f32.sqrt())).abs() < 1e-3, "{distance}");
    }

    #[test]
    fn what_lies_behind_or_beside_is_not_hit() {
        assert!(
            straight(Shape::Capsule { from: Vector(0.0, 0.0, -5.0), to: Vector(0.0, 0.0, -5.0), radius: 1.0 })
                .is_none()
        );
        assert!(
            straight(Shape::Box { center: Vector(3.0, 0.0, 5.0), half: Vector(1.0, 1.0, 1.0), angle: 0.3 }).is_none()
        );
    }
}
