use crate::camera::Camera;
use crate::lamp::Lamp;
use crate::pose::Pose;
use crate::scene::{Hit, Scene};
use crate::shade::{Cone, Shades};
use crate::vector::Vector;

/// Pixels along one side of the squares that share a list of bodies.
const TILE: usize = 8;
/// Light that comes from everywhere, and what floors, table tops and ceilings throw back at each other.
const AMBIENT: f64 = 0.42;
const AMBIENT_UPRIGHT: f64 = 0.14;
/// Light of the lamp on a surface that faces it at one metre and far beyond.
const LAMP: f64 = 0.62;
/// Squared metres at which the lamp's light is halved.
const LAMP_REACH: f64 = 40.0;
/// Light from everywhere and light of a lamp on the head, on a surface that faces it from very near.
const DARK_AMBIENT: f64 = 0.06;
const HEADLAMP: f64 = 1.5;
/// Squared metres at which the headlamp's light is halved.
const HEADLAMP_REACH: f64 = 3.0;
/// How much darker the corners of a room are, and how far from the corner in metres that fades.
const CORNER: f64 = 0.22;
const CORNER_METRES: f64 = 0.25;

/// One frame: colours `[height, width, 3]` and depths `[height, width]`, row-major.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Picture {
    pub(crate) rgb: Vec<u8>,
    /// Metres along the optical axis, at the middle of each pixel.
    pub(crate) depth: Vec<f32>,
}

/// What a camera at this pose sees of a scene that stands still. Every pixel's colour is the mean over
/// `rays` x `rays` points of it; its depth is that of its middle.
pub(crate) fn render(scene: &Scene, shades: &Shades, camera: &Camera, pose: &Pose, rays: usize) -> Picture {
    let (width, height) = (camera.width, camera.height);
    let mut picture = Picture { rgb: vec![0; width * height * 3], depth: vec![0.0; width * height] };
    let painter = Painter { scene, shades, camera, pose };
    let mut seen = Vec::new();
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            let (bottom, right) = ((top + TILE).min(height), (left + TILE).min(width));
            painter.bodies_in([left, top, right, bottom].map(|edge| edge as f64), &mut seen);
            for row in top..bottom {
                for column in left..right {
                    let at = row * width + column;
                    let (x, y) = (column as f64, row as f64);
                    picture.depth[at] = painter.cast(x + 0.5, y + 0.5, &seen).0.distance as f32;
                    let colour = painter.pixel(x, y, rays, &seen);
                    picture.rgb[3 * at..3 * at + 3].copy_from_slice(&colour);
                }
            }
        }
    }
    picture
}

struct Painter<'a> {
    scene: &'a Scene,
    shades: &'a Shades,
    camera: &'a Camera,
    pose: &'a Pose,
}

impl Painter<'_> {
    /// Which bodies may be seen in a rectangle of the picture: those whose ball meets the cone around it.
    fn bodies_in(&self, [left, top, right, bottom]: [f64; 4], seen: &mut Vec<usize>) {
        let corners = [(left, top), (right, top), (left, bottom), (right, bottom)];
        let corners = corners.map(|(x, y)| self.camera.ray(x, y));
        let cone = Cone::new(self.camera.ray(0.5 * (left + right), 0.5 * (top + bottom)), &corners);
        let solids = self.scene.solids.iter().enumerate();
        let may_be_seen = solids.filter(|(_, solid)| cone.meets(self.pose.camera_point(solid.centre), solid.reach));
        seen.clear();
        seen.extend(may_be_seen.map(|(index, _)| index));
    }

    /// What is seen at a point of the picture, and the direction to it with a depth of 1.
    fn cast(&self, x: f64, y: f64, seen: &[usize]) -> (Hit, Vector) {
        let direction = self.pose.world_direction(self.camera.ray(x, y));
        let origin = self.pose.position;
        let mut hit = Hit { distance: self.scene.room.distance(origin, direction), solid: None };
        for &index in seen {
            let distance = self.scene.solids[index].distance(origin, direction);
            if let Some(distance) = distance.filter(|distance| *distance < hit.distance) {
                hit = Hit { distance, solid: Some(index) };
            }
        }
        (hit, direction)
    }

    fn pixel(&self, x: f64, y: f64, rays: usize, seen: &[usize]) -> [u8; 3] {
        let mut sum = Vector::ZERO;
        let step = 1.0 / rays as f64;
        for i in 0..rays {
            for j in 0..rays {
                let (hit, direction) = self.cast(x + (j as f64 + 0.5) * step, y + (i as f64 + 0.5) * step, seen);
                let colour = self.colour(&hit, self.pose.position + direction * hit.distance);
                // A sum of clipped colours keeps bright edges from spreading.
                sum = sum + Vector::new(colour.x.min(1.0), colour.y.min(1.0), colour.z.min(1.0));
            }
        }
        let mean = sum * (step * step * 255.0);
        [mean.x, mean.y, mean.z].map(|value| (value + 0.5) as u8)
    }

    /// The colour of a point of a surface: Lambert's law for the lamp, with shadows, and light from everywhere.
    fn colour(&self, hit: &Hit, point: Vector) -> Vector {
        let (surface, touch, corner) = if let Some(index) = hit.solid {
            let solid = &self.scene.solids[index];
            (&solid.surface, solid.touch(point), 1.0)
        } else {
            let (surface, touch) = self.scene.room.touch(point);
            (surface, touch, self.corner(point))
        };
        let own = surface.colour(touch.u, touch.v);
        if surface.glows {
            return own.tinted(self.scene.exposure);
        }
        let towards = |lamp: Vector| {
            let to_lamp = lamp - point;
            let square = to_lamp.dot(to_lamp);
            (square, touch.normal.dot(to_lamp) / square.sqrt())
        };
        let light = match self.scene.lamp {
            Lamp::Room(lamp) => {
                let (square, facing) = towards(lamp);
                let mut light = AMBIENT + AMBIENT_UPRIGHT * touch.normal.z.abs();
                if facing > 0.0 && !self.shades.is_shaded(self.scene, lamp, point + touch.normal * 1e-6) {
                    light += LAMP * facing / (1.0 + square / LAMP_REACH);
                }
                light
            }
            Lamp::Head => {
                let (square, facing) = towards(self.pose.position);
                HEADLAMP.mul_add(facing.max(0.0) / (1.0 + square / HEADLAMP_REACH), DARK_AMBIENT)
            }
        };
        own.tinted(self.scene.exposure) * (light * corner)
    }

    /// Darkens where two faces of the room meet.
    fn corner(&self, point: Vector) -> f64 {
        let size = self.scene.room.size;
        let mut distances =
            [(point.x, size.x), (point.y, size.y), (point.z, size.z)].map(|(at, size)| at.min(size - at));
        // The least is the distance to the face that the point is on.
        distances.sort_by(f64::total_cmp);
        1.0 - CORNER * (-distances[1] / CORNER_METRES).exp()
    }
}

#[cfg(test)]
mod tests;
