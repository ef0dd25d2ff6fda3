use std::f64::consts::{PI, TAU};

use crate::pose::Pose;
use crate::random::Random;
use crate::scene::Scene;
use crate::timeline::{TICKS, secs};
use crate::vector::Vector;

/// The fastest walk in metres per second. Adults walk comfortably at 1.27 to 1.46 in a straight
/// line (Bohannon 1997), slower in rooms.
pub(crate) const FASTEST_WALK: f64 = 1.35;
const SLOWEST_WALK: f64 = 0.5;
/// Sway and bob on top of the walk stay below this many metres per second.
#[cfg(test)]
pub(crate) const SWAY: f64 = 0.35;
/// The fastest turn of the head that is goal-directed, in radians per second. Heads turn at up to 90 degrees per second
/// while walking and at 780 in vigorous voluntary rotation (Grossman et al. 1988); between both lie looks around a room.
pub(crate) const FASTEST_TURN: f64 = 120.0 * PI / 180.0;
/// Turns of the head much beyond this are rare.
const TYPICAL_TURN_DEGREES: f64 = 35.0;
/// How quickly the head goes to where it is wanted (critically damped): a turn of 60 degrees peaks at 90 per second.
const STIFFNESS: f64 = 4.1;
/// Seconds that are simulated before the clip, so that it begins in the middle of things.
const LEAD_SECS: f64 = 1.2;
/// A shoulder's breadth and the camera's distance from walls.
const CLEARANCE: f64 = 0.45;
/// Walks that are tried before a person stands still instead.
const TRIES: usize = 200;
/// How far the head and trunk turn against the feet.
const FARTHEST_YAW: f64 = 140.0 * PI / 180.0;
const LOWEST_PITCH: f64 = -50.0 * PI / 180.0;
const HIGHEST_PITCH: f64 = 15.0 * PI / 180.0;

/// The head's pose at every step of the clip; `walks` is the probability of walking rather than standing.
pub(crate) fn head_motion(scene: &Scene, n_ticks: usize, walks: f64, random: &mut Random) -> Vec<Pose> {
    let lead = (LEAD_SECS * TICKS as f64) as usize;
    let wants_walk = random.chance(walks);
    let eye_height = random.between(1.45, 1.75);
    let path = wants_walk.then(|| walk(scene, lead + n_ticks, random)).flatten();
    let path = path.unwrap_or_else(|| stand(scene, lead + n_ticks, random));
    let gait = Gait::new(random);
    let mut neck = Neck::new(&path, scene, eye_height, random);
    let mut poses = Vec::with_capacity(n_ticks);
    for (tick, step) in path.iter().enumerate() {
        // The clip's clock starts after the lead; what swings only matters to the head roughly.
        let now = secs(tick) - LEAD_SECS;
        neck.follow(scene, step, eye_height, now, random);
        if tick >= lead {
            poses.push(gait.pose(step, eye_height, neck.yaw.angle, neck.pitch.angle, now));
        }
    }
    poses
}

/// Where a person stands and walks to at a step.
#[derive(Clone, Copy)]
struct Step {
    x: f64,
    y: f64,
    /// The azimuth that the body faces, unwrapped.
    heading: f64,
    /// Metres per second.
    speed: f64,
    /// Paces since the beginning, in lengths of a pace at full speed.
    paces: f64,
}

/// A walk along an arc with a speed that may change, where nothing is in the way.
fn walk(scene: &Scene, n_steps: usize, random: &mut Random) -> Option<Vec<Step>> {
    let size = scene.room.size;
    for _ in 0..TRIES {
        let (mut x, mut y) = (random.between(0.4, size.x - 0.4), random.between(0.4, size.y - 0.4));
        let mut heading = random.between(-PI, PI);
        let turn = random.normal() * 14.0_f64.to_radians();
        let (from, to) = (random.between(SLOWEST_WALK, FASTEST_WALK), random.between(SLOWEST_WALK, FASTEST_WALK));
        // One in five stops during the clip, or starts.
        let (from, to) = match random.below(10) {
            0 => (from, 0.0),
            1 => (0.0, to),
            _ => (from, from.mul_add(0.7, 0.3 * to)),
        };
        let (begin, length) = (random.between(0.8, 2.0), random.between(0.7, 1.2));
        let mut paces = 0.0;
        let mut path = Vec::with_capacity(n_steps);
        for step in 0..n_steps {
            let share = ((secs(step) - begin) / length).clamp(0.0, 1.0);
            let speed = from + (to - from) * share * share * (3.0 - 2.0 * share);
            path.push(Step { x, y, heading, speed, paces });
            let ahead = speed / TICKS as f64;
            x += heading.cos() * ahead;
            y += heading.sin() * ahead;
            // Slower walks have shorter paces: the square root halves the cost of the speed between length and rate.
            paces += ahead * (FASTEST_WALK / speed.max(SLOWEST_WALK)).sqrt();
            heading += turn / TICKS as f64;
        }
        // Every eighth step is at most 9 centimetres on.
        if path.iter().step_by(8).chain(path.last()).all(|step| scene.has_room_for(step.x, step.y, CLEARANCE)) {
            return Some(path);
        }
    }
    None
}

/// Standing still where there is room, facing the middle of the room.
fn stand(scene: &Scene, n_steps: usize, random: &mut Random) -> Vec<Step> {
    let size = scene.room.size;
    let mut best = (0.5 * size.x, 0.5 * size.y);
    // A crowded room has room for a thin person.
    for attempt in 0..TRIES {
        let (x, y) = (random.between(0.3, size.x - 0.3), random.between(0.3, size.y - 0.3));
        let clearance = CLEARANCE * (1.0 - attempt as f64 / (TRIES) as f64);
        if scene.has_room_for(x, y, clearance) {
            best = (x, y);
            break;
        }
    }
    let (x, y) = best;
    let heading = (0.5 * size.y - y).atan2(0.5 * size.x - x) + random.normal() * 0.5;
    vec![Step { x, y, heading, speed: 0.0, paces: 0.0 }; n_steps]
}

/// How a person's head moves with the steps: down and up once per step, to either side once per two steps.
///
/// In walks of 1.2 to 1.8 m/s heads move up and down at nearly 2 Hz with peaks of 0.3 to 0.5 g, and their pitch peaks at 15
/// to 22 degrees per second; the yaw goes at half the rate of the steps (Grasso et al. on steering along circles).
struct Gait {
    phase: f64,
    /// Metres per pace at full speed.
    pace: f64,
    bob: f64,
    sway: f64,
    pitch: f64,
    yaw: f64,
    roll: f64,
    /// Slow drift of a standing body.
    drift: [f64; 4],
}

impl Gait {
    fn new(random: &mut Random) -> Self {
        Self {
            phase: random.between(0.0, TAU),
            pace: random.between(0.62, 0.75),
            bob: random.between(0.010, 0.016),
            sway: random.between(0.008, 0.016),
            pitch: random.between(0.5, 1.2_f64).to_radians(),
            yaw: random.between(0.4, 1.2_f64).to_radians(),
            roll: random.between(0.3, 1.0_f64).to_radians(),
            drift: std::array::from_fn(|_| random.between(0.0, TAU)),
        }
    }

    fn pose(&self, step: &Step, eye_height: f64, yaw: f64, pitch: f64, now: f64) -> Pose {
        let strength = (step.speed / 0.8).min(1.0);
        let cycle = self.phase + PI * step.paces / self.pace;
        let side = Vector::new(-step.heading.sin(), step.heading.cos(), 0.0);
        let slow = |rate: f64, phase: f64| (TAU * rate * now + phase).sin();
        let [a, b, c, d] = self.drift;
        let drift = Vector::new(0.006 * slow(0.35, a), 0.006 * slow(0.28, b), 0.002 * slow(0.22, c));
        let foot = Vector::new(step.x, step.y, eye_height + strength * self.bob * (2.0 * cycle).sin());
        let position = foot + side * (strength * self.sway * cycle.sin()) + drift;
        let nod = strength * self.pitch * (2.0 * cycle + 0.6).sin() + 0.004 * slow(0.5, d);
        let shake = strength * self.yaw * (cycle + 0.9).sin() + 0.006 * slow(0.4, a + c);
        let roll = strength * self.roll * (cycle + 0.3).sin() + 0.01 * slow(0.3, b + d);
        Pose::new(position, yaw + shake, pitch + nod, roll)
    }
}

/// The head's goal and how it gets there.
struct Neck {
    yaw: Joint,
    pitch: Joint,
    goal: Goal,
    /// When the next goal is chosen.
    until: f64,
}

/// What the head is turned to; offsets in radians.
#[derive(Clone, Copy)]
enum Goal {
    /// Where the body goes.
    Ahead { yaw: f64, pitch: f64 },
    /// A thing, which the eyes bring to their centre and the head only roughly: heads fall short of where the eyes look
    /// (Stahl 1999).
    Thing { index: usize, yaw: f64, pitch: f64 },
}

#[derive(Clone, Copy)]
struct Joint {
    angle: f64,
    velocity: f64,
}

impl Joint {
    fn follow(&mut self, goal: f64) {
        let tick = 1.0 / TICKS as f64;
        let acceleration = STIFFNESS * (STIFFNESS * (goal - self.angle) - 2.0 * self.velocity);
        self.velocity = (self.velocity + acceleration * tick).clamp(-FASTEST_TURN, FASTEST_TURN);
        self.angle += self.velocity * tick;
    }
}

impl Neck {
    fn new(path: &[Step], scene: &Scene, eye_height: f64, random: &mut Random) -> Self {
        let first = path.first().copied().unwrap_or(Step { x: 0.0, y: 0.0, heading: 0.0, speed: 0.0, paces: 0.0 });
        let goal = choose(scene, &first, eye_height, first.heading, 0.0, random);
        let mut neck = Self {
            yaw: Joint { angle: first.heading, velocity: 0.0 },
            pitch: Joint { angle: -0.2, velocity: 0.0 },
            goal,
            until: random.between(-1.0, 0.6),
        };
        let (yaw, pitch) = neck.wanted(scene, &first, eye_height, 0.0);
        (neck.yaw.angle, neck.pitch.angle) = (yaw, pitch);
        neck
    }

    fn follow(&mut self, scene: &Scene, step: &Step, eye_height: f64, now: f64, random: &mut Random) {
        if now >= self.until || self.is_passed(scene, step, eye_height, now) {
            self.goal = choose(scene, step, eye_height, self.yaw.angle, now, random);
            self.until = now + random.between(1.4, 3.4);
        }
        let (yaw, pitch) = self.wanted(scene, step, eye_height, now);
        self.yaw.follow(yaw);
        self.pitch.follow(pitch);
    }

    /// Whether its thing has come to lie behind the body.
    fn is_passed(&self, scene: &Scene, step: &Step, eye_height: f64, now: f64) -> bool {
        let Goal::Thing { index, .. } = self.goal else { return false };
        towards(scene, index, step, eye_height, now).0.abs() > FARTHEST_YAW
    }

    fn wanted(&self, scene: &Scene, step: &Step, eye_height: f64, now: f64) -> (f64, f64) {
        let (yaw, pitch) = match self.goal {
            Goal::Ahead { yaw, pitch } => (step.heading + yaw, pitch),
            Goal::Thing { index, yaw, pitch } => {
                let (to_yaw, to_pitch) = towards(scene, index, step, eye_height, now);
                (step.heading + to_yaw + yaw, to_pitch + pitch)
            }
        };
        (yaw, pitch.clamp(LOWEST_PITCH, HIGHEST_PITCH))
    }
}

/// A goal that the neck can reach: a thing, rather near, alluring and not far from the azimuth `from`, or ahead.
fn choose(scene: &Scene, step: &Step, eye_height: f64, from: f64, now: f64, random: &mut Random) -> Goal {
    let (reach, ahead) = if step.speed > 0.2 { (55.0_f64, 0.4) } else { (110.0_f64, 0.15) };
    let offset =
        |random: &mut Random| (random.normal() * 15.0_f64.to_radians(), random.normal() * 10.0_f64.to_radians());
    if !random.chance(ahead) {
        let position = Vector::new(step.x, step.y, eye_height);
        let weights = scene.things.iter().enumerate().map(|(index, thing)| {
            let (yaw, pitch) = towards(scene, index, step, eye_height, now);
            let reachable = yaw.abs() < reach.to_radians() && pitch > LOWEST_PITCH;
            let distance = (scene.centre(thing, now) - position).length();
            let turn = (step.heading + yaw - from).to_degrees() / TYPICAL_TURN_DEGREES;
            if reachable { thing.allure / (0.5 + distance) * (-0.5 * turn * turn).exp() } else { 0.0 }
        });
        if let Some(index) = random.weighted(weights) {
            let (yaw, pitch) = offset(random);
            return Goal::Thing { index, yaw, pitch: pitch + 0.07 };
        }
    }
    let (yaw, pitch) = offset(random);
    let sideways = if step.speed > 0.2 { 1.0 } else { 2.0 };
    Goal::Ahead { yaw: sideways * yaw, pitch: pitch - 0.25 }
}

/// The azimuth of a thing against the body's heading (from -180 to 180 degrees), and its elevation, in radians.
fn towards(scene: &Scene, index: usize, step: &Step, eye_height: f64, now: f64) -> (f64, f64) {
    let offset = scene.centre(&scene.things[index], now) - Vector::new(step.x, step.y, eye_height);
    let yaw = offset.y.atan2(offset.x) - step.heading;
    (yaw - TAU * (yaw / TAU).round(), offset.z.atan2(offset.x.hypot(offset.y)))
}

#[cfg(test)]
mod tests;
