use crate::camera::Camera;
use crate::pose::Pose;
use crate::random::Random;
use crate::scene::Scene;
use crate::settings::GazeSettings;
use crate::timeline::{TICKS, secs};
use crate::vector::Vector;

/// The shortest and the longest fixation in seconds, and the mean of what comes on top of the shortest. With the saccades
/// between them that is 2.6 fixations in a second; people make about three (Henderson 2003; Land et al. 1999).
const SHORTEST_FIXATION: f64 = 0.14;
const LONGEST_FIXATION: f64 = 1.2;
const LONGER_FIXATION: f64 = 0.22;
/// The same for a glance at something that is not the most salient.
const LONGER_GLANCE: f64 = 0.08;
/// How long a saccade takes: seconds, and seconds per degree (the main sequence; Carpenter 1988).
const SACCADE_SECS: f64 = 0.021;
const SACCADE_SECS_PER_DEGREE: f64 = 0.0022;
/// The probability that the next fixation goes to what is most salient.
const OBEDIENCE: f64 = 0.96;
/// How much more salient a thing is while it is looked at, so that two of a kind do not take turns.
const LOYALTY: f64 = 1.4;
/// Steps after which the eyes notice again what is in sight.
const CAPTURE_TICKS: usize = 6;
/// How far ahead in seconds the eyes know where the head turns: they get there first.
const FORESIGHT: f64 = 0.2;
/// The part of the picture along its edge that is not looked at: eyes turn less far than the camera sees.
const MARGIN: f64 = 0.08;
/// Degrees from the picture's middle at which salience has fallen to 0.6.
const SALIENCE_DEGREES: f64 = 22.0;
/// Samples that a gap lasts on average: blinks last 100 to 400 milliseconds.
const GAP_SAMPLES: f64 = 5.0;

/// Where the eyes look at every step of the clip.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Look {
    /// Pixel coordinates, inside of the picture.
    pub(crate) pixel: [f64; 2],
    /// The thing that is looked at, or that a saccade goes to.
    pub(crate) thing: Option<usize>,
    /// Whether a saccade is under way.
    pub(crate) is_saccade: bool,
}

/// What the eyes are directed to.
#[derive(Clone, Copy)]
enum Target {
    /// A point of a thing, which moves with it: smooth pursuit where it moves, and a reflex that holds it where only the
    /// head does.
    Thing { index: usize, offset: Vector },
    /// A point of the room.
    Point(Vector),
}

/// Looks at things from a moving head. Without measurement noise and gaps, which [`measure`] adds.
pub(crate) fn look_around(scene: &Scene, camera: &Camera, poses: &[Pose], random: &mut Random) -> Vec<Look> {
    let eyes = Eyes { scene, camera };
    let mut looks = Vec::with_capacity(poses.len());
    let Some(first) = poses.first() else { return looks };
    let (mut target, mut glances) = eyes.choose(first, first, 0.0, None, random);
    let mut before = target;
    // Seconds at which the saccade to the target began, its length, and when the fixation after it ends.
    let (mut began, mut length, mut until) = (-1.0, SACCADE_SECS, random.between(0.0, 0.5));
    for (tick, pose) in poses.iter().enumerate() {
        let now = secs(tick);
        let lost = now > began + length && eyes.is_lost(target, pose, now);
        // What comes into sight and is more salient ends a fixation early, but not a glance, which knew of it.
        let is_settled = !glances && now > began + length + SHORTEST_FIXATION && tick % CAPTURE_TICKS == 0;
        if now >= until || lost || (is_settled && eyes.is_outdone(target, pose, now)) {
            before = target;
            let soon = &poses[(tick + (FORESIGHT * TICKS as f64) as usize).min(poses.len() - 1)];
            (target, glances) = eyes.choose(pose, soon, now, Some(before), random);
            let degrees = eyes.direction(before, pose, now).angle(eyes.direction(target, pose, now)).to_degrees();
            (began, length) = (now, SACCADE_SECS_PER_DEGREE.mul_add(degrees, SACCADE_SECS));
            let longer = if glances { LONGER_GLANCE } else { LONGER_FIXATION };
            let fixation = SHORTEST_FIXATION + random.exponential(longer);
            until = now + length + fixation.min(LONGEST_FIXATION);
        }
        let progress = ((now - began) / length).clamp(0.0, 1.0);
        let direction = if progress < 1.0 {
            // Minimum jerk: velocity and acceleration are 0 at both ends.
            let share = progress.powi(3) * (10.0 - 15.0 * progress + 6.0 * progress * progress);
            eyes.direction(before, pose, now).mixed(eyes.direction(target, pose, now), share)
        } else {
            eyes.direction(target, pose, now)
        };
        let thing = if let Target::Thing { index, .. } = target { Some(index) } else { None };
        looks.push(Look { pixel: eyes.pixel(direction), thing, is_saccade: progress < 1.0 });
    }
    looks
}

/// What an eye tracker gives for these points: noise of a constant angle, and gaps of NaN whose share is as set on average.
pub(crate) fn measure(
    pixels: impl Iterator<Item = [f64; 2]>,
    camera: &Camera,
    settings: &GazeSettings,
    random: &mut Random,
) -> Vec<[f64; 2]> {
    let noise = settings.noise_degrees.to_radians().tan() * camera.focal;
    let share = settings.invalid_share;
    // A chain of two states that begins in balance. Where nearly all is a gap, gaps get longer than their mean.
    let closes = 1.0 / GAP_SAMPLES.max(share / (1.0 - share).max(1e-9));
    let opens = closes * share / (1.0 - share).max(1e-9);
    let mut is_gap = random.chance(share);
    let samples = pixels.map(|[x, y]| {
        let noisy = [x + noise * random.normal(), y + noise * random.normal()];
        let sample = if is_gap { [f64::NAN; 2] } else { inside(noisy, camera) };
        is_gap = if is_gap { !random.chance(closes) } else { random.chance(opens) };
        sample
    });
    samples.collect()
}

struct Eyes<'a> {
    scene: &'a Scene,
    camera: &'a Camera,
}

impl Eyes<'_> {
    /// A direction in camera axes of length 1, in front.
    fn direction(&self, target: Target, pose: &Pose, now: f64) -> Vector {
        let point = pose.camera_point(self.point(target, now));
        Vector::new(point.x, point.y, point.z.max(0.2 * point.length())).unit()
    }

    fn point(&self, target: Target, now: f64) -> Vector {
        match target {
            Target::Thing { index, offset } => self.scene.centre(&self.scene.things[index], now) + offset,
            Target::Point(point) => point,
        }
    }

    /// A direction's place in the picture, at the margin where it is outside.
    fn pixel(&self, direction: Vector) -> [f64; 2] {
        let [x, y] = self.camera.project(direction).unwrap_or([0.0; 2]);
        let (width, height) = (self.camera.width as f64, self.camera.height as f64);
        [x.clamp(MARGIN * width, (1.0 - MARGIN) * width), y.clamp(MARGIN * height, (1.0 - MARGIN) * height)]
    }

    fn is_lost(&self, target: Target, pose: &Pose, now: f64) -> bool {
        let seen = self.camera.project(pose.camera_point(self.point(target, now)));
        !seen.is_some_and(|pixel| self.camera.contains(pixel, 0.9 * MARGIN))
    }

    /// Whether something in sight is more salient than the target.
    fn is_outdone(&self, target: Target, pose: &Pose, now: f64) -> bool {
        let salience = self.saliences(&self.scene.at(now), pose, Some(target));
        let own = if let Target::Thing { index, .. } = target { salience[index] } else { 0.0 };
        salience.iter().any(|other| *other > own)
    }

    /// The next target, and whether it is but glanced at: mostly a point of what is most salient, sometimes of something
    /// else, or of the way ahead where nothing is in sight. `soon` is where the head will be.
    fn choose(
        &self,
        pose: &Pose,
        soon: &Pose,
        now: f64,
        before: Option<Target>,
        random: &mut Random,
    ) -> (Target, bool) {
        let scene = self.scene.at(now);
        let salience = self.saliences(&scene, pose, before);
        let best = salience.iter().copied().fold(0.0, f64::max);
        if best == 0.0 {
            return (self.ahead(&scene, soon, random), false);
        }
        let n_in_sight = salience.iter().filter(|value| **value > 0.0).count();
        let glances = n_in_sight > 1 && !random.chance(OBEDIENCE);
        let weights = salience.iter().map(|value| if glances == (*value < best) { *value } else { 0.0 });
        let index = random.weighted(weights).unwrap_or(0);
        let reach = 0.45 * scene.solids[scene.things[index].solid].reach;
        let offset = Vector::new(random.normal(), random.normal(), random.normal()) * (0.5 * reach);
        (Target::Thing { index, offset }, glances)
    }

    /// The salience of each thing, with loyalty to what is looked at.
    fn saliences(&self, scene: &Scene, pose: &Pose, target: Option<Target>) -> Vec<f64> {
        let mut saliences: Vec<f64> = (0..scene.things.len()).map(|index| self.salience(scene, index, pose)).collect();
        if let Some(Target::Thing { index, .. }) = target {
            saliences[index] *= LOYALTY;
        }
        saliences
    }

    /// How much a thing draws the eye: by its colour or motion, its size in the picture, and its place there; 0 where its
    /// middle is out of sight.
    fn salience(&self, scene: &Scene, index: usize, pose: &Pose) -> f64 {
        let thing = &scene.things[index];
        let solid = &scene.solids[thing.solid];
        let point = pose.camera_point(solid.centre);
        let distance = point.length();
        let inside = self.camera.project(point).is_some_and(|pixel| self.camera.contains(pixel, MARGIN));
        if !inside || scene.hit(pose.position, solid.centre - pose.position).solid != Some(thing.solid) {
            return 0.0;
        }
        let eccentricity = point.angle(Vector::new(0.0, 0.0, 1.0)).to_degrees() / SALIENCE_DEGREES;
        thing.allure * (solid.reach / distance).sqrt() * (-0.5 * eccentricity * eccentricity).exp()
    }

    /// A point of the room that lies a little below the middle of what the head is about to see.
    fn ahead(&self, scene: &Scene, soon: &Pose, random: &mut Random) -> Target {
        let (width, height) = (self.camera.width as f64, self.camera.height as f64);
        let (x, y) = (width * (0.5 + 0.04 * random.normal()), height * (0.56 + 0.04 * random.normal()));
        let direction = soon.world_direction(self.camera.ray(x, y));
        let hit = scene.hit(soon.position, direction);
        Target::Point(soon.position + direction * hit.distance)
    }
}

fn inside([x, y]: [f64; 2], camera: &Camera) -> [f64; 2] {
    [x.clamp(0.0, camera.width as f64), y.clamp(0.0, camera.height as f64)]
}

#[cfg(test)]
mod tests;
