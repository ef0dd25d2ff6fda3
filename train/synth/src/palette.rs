use crate::random::Random;
use crate::surface::{Pattern, Surface};
use crate::vector::Vector;

/// How much the thing that swings draws the eye: motion beats colour.
pub(crate) const SWINGING_ALLURE: f64 = 6.0;
/// How much a red thing draws the eye; the other colours have less than a third of it.
const RED_ALLURE: f64 = 3.0;

/// The muted colours that a room's surfaces share, so that only things are vivid.
pub(crate) struct Palette {
    walls: Vector,
    floor: Vector,
    wood: Vector,
    cloth: Vector,
}

impl Palette {
    pub(crate) fn new(random: &mut Random) -> Self {
        let walls = [
            Vector::new(0.86, 0.84, 0.78),
            Vector::new(0.78, 0.82, 0.84),
            Vector::new(0.80, 0.84, 0.76),
            Vector::new(0.85, 0.78, 0.74),
            Vector::new(0.70, 0.72, 0.76),
        ];
        let floors = [Vector::new(0.58, 0.42, 0.28), Vector::new(0.72, 0.60, 0.44), Vector::new(0.44, 0.33, 0.26)];
        let woods = [
            Vector::new(0.62, 0.46, 0.30),
            Vector::new(0.42, 0.29, 0.20),
            Vector::new(0.82, 0.80, 0.76),
            Vector::new(0.74, 0.62, 0.46),
        ];
        let cloths = [
            Vector::new(0.42, 0.44, 0.48),
            Vector::new(0.50, 0.44, 0.38),
            Vector::new(0.34, 0.40, 0.46),
            Vector::new(0.60, 0.57, 0.50),
        ];
        let mut pick = |colours: &[Vector]| colours[random.below(colours.len())];
        let (walls, floor, wood, cloth) = (pick(&walls), pick(&floors), pick(&woods), pick(&cloths));
        Self { walls, floor, wood, cloth }
    }

    pub(crate) fn wall(&self, random: &mut Random) -> Surface {
        let first = varied(self.walls, random);
        match random.below(4) {
            0 => surface(Pattern::Stripes, first, first * 0.9, random.between(0.15, 0.35), random),
            1 => surface(Pattern::Tiles, first, first * 0.72, random.between(0.25, 0.5), random),
            2 => surface(Pattern::Dots, first, first * 0.82, random.between(0.2, 0.35), random),
            _ => surface(Pattern::Noise, first, first * 0.86, random.between(0.3, 0.7), random),
        }
    }

    pub(crate) fn floor(&self, random: &mut Random) -> Surface {
        let first = varied(self.floor, random);
        let stone = Vector::new(0.66, 0.64, 0.6);
        match random.below(4) {
            0 => surface(Pattern::Tiles, varied(stone, random), stone * 0.6, random.between(0.3, 0.6), random),
            1 => surface(Pattern::Checker, stone * 1.15, stone * 0.65, random.between(0.3, 0.5), random),
            _ => surface(Pattern::Planks, first, first * 0.5, random.between(0.14, 0.24), random),
        }
    }

    pub(crate) fn ceiling(&self, random: &mut Random) -> Surface {
        let first = self.walls.mixed(Vector::new(0.95, 0.95, 0.93), 0.8);
        surface(Pattern::Tiles, first, first * 0.85, random.between(0.6, 1.2), random)
    }

    pub(crate) fn wood(&self, random: &mut Random) -> Surface {
        let first = varied(self.wood, random);
        surface(Pattern::Planks, first, first * 0.75, random.between(0.12, 0.3), random)
    }

    pub(crate) fn cloth(&self, random: &mut Random) -> Surface {
        let first = varied(self.cloth, random);
        let patterns = [Pattern::Noise, Pattern::Stripes, Pattern::Checker, Pattern::Noise];
        let pattern = patterns[random.below(patterns.len())];
        surface(pattern, first, first * 0.8, random.between(0.08, 0.2), random)
    }

    pub(crate) fn books(&self, random: &mut Random) -> Surface {
        surface(Pattern::Stripes, varied(self.cloth, random), varied(self.wood, random) * 0.7, 0.045, random)
    }

    pub(crate) fn picture(&self, random: &mut Random) -> Surface {
        let first = varied(self.cloth.mixed(Vector::new(0.5, 0.6, 0.65), 0.5), random);
        surface(Pattern::Noise, first, varied(self.walls, random), random.between(0.08, 0.2), random)
    }
}

/// What a screen shows.
pub(crate) fn screen(random: &mut Random) -> Surface {
    surface(Pattern::Noise, Vector::new(0.25, 0.35, 0.45), Vector::new(0.55, 0.6, 0.62), 0.09, random)
}

/// The view through a window.
pub(crate) fn window(random: &mut Random) -> Surface {
    let sky = Vector::new(0.62, 0.76, 0.92);
    let ground = Vector::new(0.40, 0.47, 0.36);
    Surface { glows: true, ..surface(Pattern::Window, sky, ground, 1.0, random) }
}

/// The green of plants, duller than that of things.
pub(crate) fn leaves(random: &mut Random) -> Surface {
    let green = varied(Vector::new(0.28, 0.38, 0.24), random);
    surface(Pattern::Noise, green, green * 0.6, 0.05, random)
}

/// One colour with a little noise.
pub(crate) fn plain(colour: Vector, random: &mut Random) -> Surface {
    surface(Pattern::Noise, colour, colour * 0.92, 0.12, random)
}

/// The vivid surface of a thing, with how much it draws the eye: `red`, or one of the other colours.
pub(crate) fn thing(random: &mut Random, red: bool) -> (f64, Surface) {
    let others = [
        (1.0, Vector::new(0.95, 0.80, 0.08)),
        (0.7, Vector::new(0.10, 0.62, 0.22)),
        (0.6, Vector::new(0.10, 0.32, 0.85)),
        (0.7, Vector::new(0.50, 0.15, 0.65)),
    ];
    let (allure, colour) =
        if red { (RED_ALLURE, Vector::new(0.92, 0.10, 0.06)) } else { others[random.below(others.len())] };
    let patterns = [Pattern::Noise, Pattern::Stripes, Pattern::Checker, Pattern::Dots];
    let pattern = patterns[random.below(patterns.len())];
    let second = colour.mixed(Vector::new(1.0, 1.0, 1.0), 0.35);
    (allure, surface(pattern, colour, second, random.between(0.05, 0.09), random))
}

fn surface(pattern: Pattern, first: Vector, second: Vector, size: f64, random: &mut Random) -> Surface {
    Surface { pattern, first, second, size, seed: random.below(1 << 24) as u32, glows: false }
}

/// A little lighter or darker, warmer or colder.
fn varied(colour: Vector, random: &mut Random) -> Vector {
    let warmth = random.between(-0.05, 0.05);
    colour.tinted(Vector::new(1.0 + warmth, 1.0, 1.0 - warmth)) * random.between(0.9, 1.1)
}
