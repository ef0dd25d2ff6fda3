//! A person steps towards a table and reaches for a mug: the sample clip's little world.

use super::{
    shape::{Hit, Ray, Shape},
    vector::Vector,
};

/// Height of the table's surface in metres.
const TABLE: f32 = 0.75;
/// Where the light comes from.
const SUN: Vector = Vector(-0.45, 0.8, -0.4);
const SKY_LOW: Vector = Vector(0.80, 0.84, 0.86);
const SKY_HIGH: Vector = Vector(0.42, 0.56, 0.74);
const SKIN: Vector = Vector(0.80, 0.52, 0.38);
const SLEEVE: Vector = Vector(0.13, 0.22, 0.42);

/// The world at one instant.
pub(super) struct Scene {
    solids: Vec<Solid>,
    eye: Vector,
    forward: Vector,
    right: Vector,
    up: Vector,
}

/// A shape with its colour.
struct Solid {
    shape: Shape,
    colour: Vector,
    /// A ball around the shape, which most rays miss.
    center: Vector,
    radius: f32,
}

impl Solid {
    fn new(shape: Shape, colour: Vector) -> Self {
        let (center, radius) = shape.ball();
        Self { shape, colour, center, radius }
    }

    fn hit(&self, ray: Ray) -> Option<Hit> {
        let offset = self.center - ray.from;
        let along = offset.dot(ray.direction);
        let misses = offset.dot(offset) - along * along > self.radius * self.radius;
        if misses { None } else { self.shape.hit(ray) }
    }
}

impl Scene {
    /// The world after a share of the clip, from 0 to 1.
    pub(super) fn at(share: f32) -> Self {
        let ease = share * share * (3.0 - 2.0 * share);
        let eye = Vector(0.28 - 0.5 * ease, 1.5 + 0.02 * (share * 12.0).sin(), -1.05 + 0.5 * ease);
        let target = Vector(-0.05 + 0.14 * ease, TABLE + 0.04, 0.42);
        let forward = (target - eye).unit();
        let right = Vector(0.0, 1.0, 0.0).cross(forward).unit();
        let up = forward.cross(right);
        let mut solids = furniture();
        // Hands belong to the body: they move with the eye, and the right one reaches out.
        let body = |x: f32, y: f32, z: f32| {
            eye + right * x + Vector(0.0, y, 0.0) + Vector(forward.0, 0.0, forward.2).unit() * z
        };
        let mug = Vector(0.17, TABLE + 0.09, 0.28);
        let reach = ease * 0.9;
        solids.extend(arm(body(0.30, -0.62, 0.18), body(0.20, -0.60, 0.50).mixed(mug, reach)));
        solids.extend(arm(body(-0.30, -0.62, 0.16), body(-0.17, -0.62 + 0.03 * (share * 9.0).sin(), 0.52)));
        Self { solids, eye, forward, right, up }
    }

    /// Linear colour seen in a direction: `x` and `y` in [-1, 1] of the height of the picture, right and up.
    pub(super) fn colour(&self, x: f32, y: f32) -> Vector {
        // A wide lens, as head-mounted cameras have.
        let direction = (self.forward + self.right * (x * 0.75) + self.up * (y * 0.75)).unit();
        self.seen(Ray { from: self.eye, direction })
    }

    fn seen(&self, ray: Ray) -> Vector {
        let sky = SKY_LOW.mixed(SKY_HIGH, (ray.direction.1 * 1.6).clamp(0.0, 1.0));
        let floor = (ray.direction.1 < 0.0).then(|| -ray.from.1 / ray.direction.1);
        let solid = self
            .solids
            .iter()
            .filter_map(|solid| solid.hit(ray).map(|hit| (hit, solid.colour)))
            .min_by(|(one, _), (other, _)| one.distance.total_cmp(&other.distance));
        let (distance, normal, colour) = match (solid, floor) {
            (Some((hit, colour)), floor) if floor.is_none_or(|floor| hit.distance < floor) => {
                (hit.distance, hit.normal, colour)
            }
            (_, Some(floor)) => (floor, Vector(0.0, 1.0, 0.0), checkered(ray.at(floor))),
            _ => return sky,
        };
        let lit = self.lit(ray.at(distance), normal, colour);
        lit.mixed(sky, 1.0 - (-distance * 0.06).exp())
    }

    /// Light from the sun, where nothing is in its way, and from the sky.
    fn lit(&self, point: Vector, normal: Vector, colour: Vector) -> Vector {
        let sun = SUN.unit();
        let facing = normal.dot(sun).max(0.0);
        let shadow = Ray { from: point + normal * 2e-3, direction: sun };
        let in_shadow = facing > 0.0 && self.solids.iter().any(|solid| solid.hit(shadow).is_some());
        let direct = if in_shadow { 0.0 } else { facing };
        let ambient = Vector(0.36, 0.40, 0.47) * (0.75 + 0.25 * normal.1);
        colour.tinted(Vector(0.95, 0.88, 0.76) * direct + ambient)
    }
}

fn checkered(point: Vector) -> Vector {
    let even = ((point.0 / 0.5).floor() + (point.2 / 0.5).floor()).rem_euclid(2.0) < 0.5;
    if even { Vector(0.62, 0.58, 0.52) } else { Vector(0.34, 0.36, 0.38) }
}

/// The table and what stands on it and around it.
fn furniture() -> Vec<Solid> {
    let cuboid = |x: f32, y: f32, z: f32, half: Vector, angle: f32, colour: Vector| {
        Solid::new(Shape::Box { center: Vector(x, y, z), half, angle }, colour)
    };
    let wood = Vector(0.56, 0.36, 0.20);
    let mut solids = vec![
        cuboid(0.0, TABLE - 0.02, 0.5, Vector(0.75, 0.02, 0.42), 0.0, wood),
        cuboid(-0.30, TABLE + 0.09, 0.55, Vector(0.09, 0.09, 0.09), 0.5, Vector(0.78, 0.16, 0.14)),
        cuboid(-0.06, TABLE + 0.05, 0.68, Vector(0.13, 0.05, 0.08), -0.3, Vector(0.14, 0.48, 0.26)),
        cuboid(-0.06, TABLE + 0.13, 0.69, Vector(0.06, 0.03, 0.06), 0.4, Vector(0.93, 0.72, 0.16)),
        cuboid(0.40, TABLE + 0.14, 0.66, Vector(0.07, 0.14, 0.07), 0.2, Vector(0.16, 0.36, 0.72)),
        cuboid(-0.18, TABLE + 0.008, 0.26, Vector(0.14, 0.008, 0.10), 0.25, Vector(0.88, 0.88, 0.84)),
        cuboid(1.7, 0.6, 2.6, Vector(0.5, 0.6, 0.4), 0.3, Vector(0.45, 0.42, 0.50)),
        cuboid(-1.8, 0.9, 3.2, Vector(0.6, 0.9, 0.5), -0.2, Vector(0.40, 0.48, 0.44)),
        Solid::new(
            Shape::Cylinder { base: Vector(0.17, TABLE, 0.34), radius: 0.055, height: 0.13 },
            Vector(0.90, 0.90, 0.86),
        ),
        Solid::new(
            Shape::Capsule {
                from: Vector(0.30, TABLE + 0.05, 0.50),
                to: Vector(0.30, TABLE + 0.05, 0.50),
                radius: 0.05,
            },
            Vector(0.92, 0.46, 0.10),
        ),
    ];
    for (x, z) in [(-0.7, 0.12), (0.7, 0.12), (-0.7, 0.88), (0.7, 0.88)] {
        solids.push(cuboid(x, TABLE / 2.0 - 0.02, z, Vector(0.03, TABLE / 2.0 - 0.02, 0.03), 0.0, wood * 0.8));
    }
    solids
}

/// A sleeve and a hand with a thumb and fingers that point where the arm points.
fn arm(elbow: Vector, hand: Vector) -> Vec<Solid> {
    let along = (hand - elbow).unit();
    let side = Vector(0.0, 1.0, 0.0).cross(along).unit();
    let wrist = hand - along * 0.07;
    let capsule =
        |from: Vector, to: Vector, radius: f32, colour: Vector| Solid::new(Shape::Capsule { from, to, radius }, colour);
    let mut solids = vec![
        capsule(elbow, wrist - along * 0.05, 0.045, SLEEVE),
        capsule(wrist - along * 0.05, wrist, 0.030, SKIN),
        capsule(hand - side * 0.018, hand + side * 0.018, 0.034, SKIN),
    ];
    for finger in [-0.033_f32, -0.011, 0.011, 0.033] {
        let knuckle = hand + side * finger + along * 0.025;
        let tip = knuckle + along * (0.065 - 8.0 * finger * finger) - Vector(0.0, 0.018, 0.0);
        solids.push(capsule(knuckle, tip, 0.011, SKIN));
    }
    solids
}
