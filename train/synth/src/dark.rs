use crate::lamp::Lamp;
use crate::palette;
use crate::random::Random;
use crate::scene::{Room, Scene, Swing, Thing};
use crate::solid::{Shape, Solid};
use crate::surface::{Pattern, Surface};
use crate::vector::Vector;

/// Tries to find a free place for a pedestal before doing without it.
const TRIES: usize = 30;
/// Half the width of a pedestal.
const HALF_PEDESTAL: f64 = 0.25;

/// A bare room that follows from the numbers, seen by the light of a lamp on the head: 4 to 7 metres wide and deep, with the
/// same chequered floor, striped walls and bare ceiling everywhere, and three things on pedestals, of which a large red ball
/// shines by itself. With `swings`, the ball hangs from the ceiling and swings instead.
///
/// What is near is bright, and each surface has its tint, so that a single patch of the picture tells its distance. Nothing
/// but the ball is red, so that the few codes of a small video tokenizer keep it, and nothing else draws the eye.
pub(crate) fn darken(random: &mut Random, swings: bool) -> Scene {
    let size = Vector::new(random.between(4.0, 7.0), random.between(4.0, 7.0), random.between(2.4, 2.8));
    let room = Room {
        size,
        floor: bare(Pattern::Checker, Vector::new(0.84, 0.76, 0.66), Vector::new(0.42, 0.38, 0.33), 0.5),
        ceiling: bare(Pattern::Tiles, Vector::new(0.92, 0.92, 0.92), Vector::new(0.8, 0.8, 0.8), 1.0),
        walls: [bare(Pattern::Stripes, Vector::new(0.64, 0.71, 0.80), Vector::new(0.49, 0.54, 0.61), 0.5); 4],
    };
    let mut scene =
        Scene { room, solids: Vec::new(), things: Vec::new(), lamp: Lamp::Head, exposure: Vector::new(1.0, 1.0, 1.0) };
    let mut places: Vec<(f64, f64)> = Vec::new();
    for index in 0..3 {
        let free = (0..TRIES).find_map(|_| {
            let (x, y) = (random.between(0.6, size.x - 0.6), random.between(0.6, size.y - 0.6));
            places.iter().all(|place| (place.0 - x).hypot(place.1 - y) > 1.1).then_some((x, y))
        });
        let Some((x, y)) = free else { continue };
        places.push((x, y));
        let half_height = 0.5 * random.between(0.5, 1.1);
        let pedestal = Shape::Box { half: Vector::new(HALF_PEDESTAL, HALF_PEDESTAL, half_height), turn: (0.0, 1.0) };
        let wood = bare(Pattern::Noise, Vector::new(0.55, 0.62, 0.50), Vector::new(0.50, 0.57, 0.45), 0.5);
        scene.solids.push(Solid::new(Vector::new(x, y, half_height), pedestal, wood));
        let (allure, surface) = palette::thing(random, index == 0);
        let radius = random.between(0.16, 0.24);
        let (shape, half) = match index {
            0 => (Shape::Ball { radius: 1.4 * radius }, 1.4 * radius),
            1 => (Shape::Cylinder { radius: 0.8 * radius, half_height: radius }, radius),
            _ => (Shape::Box { half: Vector::new(radius, radius, radius) * 0.8, turn: (0.0, 1.0) }, 0.8 * radius),
        };
        let is_ball = index == 0;
        if is_ball && swings {
            continue;
        }
        if is_ball {
            scene.things.push(Thing { solid: scene.solids.len(), allure, swing: None });
        }
        let centre = Vector::new(x, y, 2.0 * half_height + half);
        scene.solids.push(Solid::new(centre, shape, if is_ball { shining(surface) } else { surface }));
    }
    if swings {
        scene.hang(random);
    }
    scene
}

impl Scene {
    /// Hangs a red ball that shines from the ceiling.
    fn hang(&mut self, random: &mut Random) {
        let swing = Swing::hung(self.room.size, random);
        let (_, surface) = palette::thing(random, true);
        let ball = Shape::Ball { radius: random.between(0.2, 0.28) };
        self.things.push(Thing { solid: self.solids.len(), allure: palette::SWINGING_ALLURE, swing: Some(swing) });
        self.solids.push(Solid::new(swing.centre(0.0), ball, shining(surface)));
    }
}

/// Without a pattern, and as bright from far as from near.
fn shining(surface: Surface) -> Surface {
    Surface { second: surface.first, glows: true, ..surface }
}

fn bare(pattern: Pattern, first: Vector, second: Vector, size: f64) -> Surface {
    Surface { pattern, first, second, size, seed: 0, glows: false }
}
