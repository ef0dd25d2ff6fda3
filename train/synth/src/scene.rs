use std::f64::consts::TAU;

use crate::lamp::Lamp;
use crate::pose::direction;
use crate::random::Random;
use crate::solid::{Shape, Solid, Touch};
use crate::surface::Surface;
use crate::vector::Vector;

const GRAVITY: f64 = 9.81;

/// A room with what stands in it, in world axes: the floor's corner is the origin, z is up.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Scene {
    pub(crate) room: Room,
    pub(crate) solids: Vec<Solid>,
    /// What is worth a look.
    pub(crate) things: Vec<Thing>,
    /// Where the light comes from.
    pub(crate) lamp: Lamp,
    /// Colour and strength of the picture as a whole.
    pub(crate) exposure: Vector,
}

/// Walls, floor and ceiling.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Room {
    pub(crate) size: Vector,
    pub(crate) floor: Surface,
    pub(crate) ceiling: Surface,
    /// At x = 0, x = size, y = 0 and y = size.
    pub(crate) walls: [Surface; 4],
}

/// A body that draws the eye.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Thing {
    /// Which of the scene's bodies it is.
    pub(crate) solid: usize,
    /// How much it draws the eye by its colour.
    pub(crate) allure: f64,
    /// How it moves, if it does.
    pub(crate) swing: Option<Swing>,
}

/// The motion of a ball on a string that is too thin to see.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Swing {
    pub(crate) pivot: Vector,
    pub(crate) length: f64,
    /// The azimuth of the plane that it swings in.
    pub(crate) azimuth: f64,
    /// The largest angle from the vertical.
    pub(crate) amplitude: f64,
    /// Share of a period that has passed when the clip begins.
    pub(crate) phase: f64,
}

/// The first surface along a ray.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Hit {
    /// In lengths of the ray's direction.
    pub(crate) distance: f64,
    /// The body, or `None` for the room.
    pub(crate) solid: Option<usize>,
}

impl Scene {
    /// The scene at a time of the clip: what swings is where it is then.
    pub(crate) fn at(&self, secs: f64) -> Self {
        let mut scene = self.clone();
        for thing in &self.things {
            scene.solids[thing.solid].centre = self.centre(thing, secs);
        }
        scene
    }

    /// Where the middle of a thing is at a time of the clip.
    pub(crate) fn centre(&self, thing: &Thing, secs: f64) -> Vector {
        thing.swing.map_or(self.solids[thing.solid].centre, |swing| swing.centre(secs))
    }

    /// What a ray meets first. The origin is inside of the room and outside of every body.
    pub(crate) fn hit(&self, origin: Vector, direction: Vector) -> Hit {
        let mut hit = Hit { distance: self.room.distance(origin, direction), solid: None };
        for (index, solid) in self.solids.iter().enumerate() {
            if let Some(distance) = solid.distance(origin, direction).filter(|distance| *distance < hit.distance) {
                hit = Hit { distance, solid: Some(index) };
            }
        }
        hit
    }

    /// Whether a person of this radius in metres can stand at a point of the floor.
    pub(crate) fn has_room_for(&self, x: f64, y: f64, radius: f64) -> bool {
        let Vector { x: width, y: depth, .. } = self.room.size;
        let inside = x > radius && y > radius && x < width - radius && y < depth - radius;
        inside
            && self.solids.iter().enumerate().all(|(index, solid)| {
                match self.things.iter().find(|thing| thing.solid == index).and_then(|thing| thing.swing) {
                    None => solid.is_passed_at(x, y, radius),
                    Some(swing) => {
                        let excursion = swing.length * swing.amplitude.sin() + solid.reach;
                        (x - swing.pivot.x).hypot(y - swing.pivot.y) > radius + excursion
                    }
                }
            })
    }
}

impl Room {
    /// How many times `direction` leads from a point inside to the wall, the floor or the ceiling.
    pub(crate) fn distance(&self, origin: Vector, direction: Vector) -> f64 {
        let axis = |from: f64, along: f64, size: f64| {
            if along > 0.0 {
                (size - from) / along
            } else if along < 0.0 {
                -from / along
            } else {
                f64::INFINITY
            }
        };
        axis(origin.x, direction.x, self.size.x).min(axis(origin.y, direction.y, self.size.y)).min(axis(
            origin.z,
            direction.z,
            self.size.z,
        ))
    }

    /// The surface at a point of it, and what it is like there.
    pub(crate) fn touch(&self, point: Vector) -> (&Surface, Touch) {
        let faces = [
            (point.x, Vector::new(1.0, 0.0, 0.0), &self.walls[0]),
            (self.size.x - point.x, Vector::new(-1.0, 0.0, 0.0), &self.walls[1]),
            (point.y, Vector::new(0.0, 1.0, 0.0), &self.walls[2]),
            (self.size.y - point.y, Vector::new(0.0, -1.0, 0.0), &self.walls[3]),
            (point.z, Vector::UP, &self.floor),
            (self.size.z - point.z, -Vector::UP, &self.ceiling),
        ];
        let nearest = faces.into_iter().reduce(|best, face| if face.0.abs() < best.0.abs() { face } else { best });
        let (_, normal, surface) = nearest.unwrap_or((0.0, Vector::UP, &self.floor));
        let (u, v) = match normal {
            Vector { x, .. } if x != 0.0 => (point.y, point.z),
            Vector { y, .. } if y != 0.0 => (point.x, point.z),
            _ => (point.x, point.y),
        };
        (surface, Touch { normal, u, v })
    }
}

impl Swing {
    /// One that hangs from the ceiling of a room of this size, at the height of the eyes at its lowest.
    pub(crate) fn hung(Vector { x, y, z }: Vector, random: &mut Random) -> Self {
        let pivot = Vector::new(x * random.between(0.3, 0.7), y * random.between(0.3, 0.7), z);
        Self {
            pivot,
            length: z - random.between(1.3, 1.7),
            azimuth: random.between(0.0, TAU),
            amplitude: random.between(0.35, 0.6),
            phase: random.unit(),
        }
    }

    /// Where the ball is at a time of the clip (the pendulum of small angles).
    pub(crate) fn centre(&self, secs: f64) -> Vector {
        let turns = self.phase + secs / (TAU * (self.length / GRAVITY).sqrt());
        let angle = self.amplitude * (TAU * turns).sin();
        let out = direction(self.azimuth, 0.0) * angle.sin();
        self.pivot + (out - Vector::UP * angle.cos()) * self.length
    }
}

impl Solid {
    /// Whether a person of this radius can stand at a point of the floor in spite of it: beside, on, or under it.
    fn is_passed_at(&self, x: f64, y: f64, radius: f64) -> bool {
        const STEPPED_OVER: f64 = 0.03;
        const HEAD_ROOM: f64 = 2.05;
        let offset = Vector::new(x, y, 0.0) - Vector::new(self.centre.x, self.centre.y, 0.0);
        let (half_height, distance) = match self.shape {
            Shape::Ball { radius } => (radius, offset.length() - radius),
            Shape::Cylinder { radius, half_height } => (half_height, offset.length() - radius),
            Shape::Box { half, turn: (sine, cosine) } => {
                let local = offset.turned((-sine, cosine));
                (half.z, (local.x.abs() - half.x).max(0.0).hypot((local.y.abs() - half.y).max(0.0)))
            }
        };
        let on_or_under = self.centre.z + half_height < STEPPED_OVER || self.centre.z - half_height > HEAD_ROOM;
        on_or_under || distance > radius
    }
}
