use crate::lamp::Lamp;
use crate::palette::{self, Palette};
use crate::random::Random;
use crate::scene::{Room, Scene, Swing, Thing};
use crate::solid::{Shape, Solid};
use crate::surface::Surface;
use crate::vector::Vector;

/// Tries to find a free place for a piece of furniture before doing without it.
const TRIES: usize = 12;
const UNTURNED: (f64, f64) = (0.0, 1.0);

/// A furnished room that follows from the numbers: 4 to 8 metres wide and deep, furniture along its walls, often a table
/// in its middle, and four to six coloured things on all that, one of which is red. With `swings`, another one hangs
/// from the ceiling and swings.
pub(crate) fn furnish(random: &mut Random, swings: bool) -> Scene {
    let size = Vector::new(random.between(4.0, 8.0), random.between(4.0, 8.0), random.between(2.4, 3.0));
    let palette = Palette::new(random);
    let room = Room {
        size,
        floor: palette.floor(random),
        ceiling: palette.ceiling(random),
        walls: std::array::from_fn(|_| palette.wall(random)),
    };
    let mut hall = Hall { room, palette, solids: Vec::new(), taken: Vec::new(), places: Vec::new() };
    hall.furnish(random);
    let lamp = Vector::new(size.x * random.between(0.3, 0.7), size.y * random.between(0.3, 0.7), size.z - 0.12);
    let things = hall.things(random, swings);
    let warmth = random.between(-0.06, 0.06);
    let exposure = Vector::new(1.0 + warmth, 1.0, 1.0 - warmth) * random.between(0.85, 1.1);
    Scene { room, solids: hall.solids, things, lamp: Lamp::Room(lamp), exposure }
}

/// A room that is being furnished.
struct Hall {
    room: Room,
    palette: Palette,
    solids: Vec<Solid>,
    /// Floor that is taken.
    taken: Vec<Area>,
    /// Where things can stand, with the height of that surface.
    places: Vec<(Area, f64)>,
}

/// A rectangle seen from above.
#[derive(Clone, Copy)]
struct Area {
    x: [f64; 2],
    y: [f64; 2],
}

/// Which wall something stands at, and where its middle is along that wall.
#[derive(Clone, Copy)]
struct Spot {
    wall: usize,
    along: f64,
}

impl Area {
    fn around(x: f64, y: f64, half_x: f64, half_y: f64) -> Self {
        Self { x: [x - half_x, x + half_x], y: [y - half_y, y + half_y] }
    }

    fn overlaps(&self, other: &Self, gap: f64) -> bool {
        let apart = |a: [f64; 2], b: [f64; 2]| a[1] + gap < b[0] || b[1] + gap < a[0];
        !apart(self.x, other.x) && !apart(self.y, other.y)
    }

    /// A point at least `margin` away from the edges, or the middle where it is too narrow.
    fn point(&self, random: &mut Random, margin: f64) -> (f64, f64) {
        let mut axis = |[low, high]: [f64; 2]| {
            let share = random.unit();
            let free = (high - low - 2.0 * margin).max(0.0);
            0.5 * (low + high) + (share - 0.5) * free
        };
        (axis(self.x), axis(self.y))
    }
}

impl Hall {
    fn furnish(&mut self, random: &mut Random) {
        if random.chance(0.6) {
            self.table_in_the_middle(random);
        }
        self.rug(random);
        for _ in 0..5 + random.below(4) {
            self.piece(random);
        }
        for _ in 0..3 + random.below(4) {
            self.hang(random);
        }
        for _ in 0..random.below(3) {
            self.plant(random);
        }
        let Vector { x, y, z } = self.room.size;
        let shade = Surface { glows: true, ..palette::plain(Vector::new(1.0, 0.97, 0.88), random) };
        let ring = Shape::Cylinder { radius: 0.22, half_height: 0.04 };
        self.solids.push(Solid::new(Vector::new(0.5 * x, 0.5 * y, z - 0.04), ring, shade));
    }

    /// A box from one corner to the other.
    fn block(&mut self, x: [f64; 2], y: [f64; 2], z: [f64; 2], surface: Surface) {
        let middle = |[low, high]: [f64; 2]| 0.5 * (low + high);
        let half = |[low, high]: [f64; 2]| 0.5 * (high - low);
        let shape = Shape::Box { half: Vector::new(half(x), half(y), half(z)), turn: UNTURNED };
        self.solids.push(Solid::new(Vector::new(middle(x), middle(y), middle(z)), shape, surface));
    }

    /// A box that stands at a wall: `along` it, `out` of it and up, in metres.
    fn block_at(&mut self, spot: Spot, along: [f64; 2], out: [f64; 2], up: [f64; 2], surface: Surface) {
        let area = self.area_at(spot, along, out);
        self.block(area.x, area.y, up, surface);
    }

    fn area_at(&self, spot: Spot, along: [f64; 2], out: [f64; 2]) -> Area {
        let along = along.map(|metres| metres + spot.along);
        let Vector { x: width, y: depth, .. } = self.room.size;
        match spot.wall {
            0 => Area { x: out, y: along },
            1 => Area { x: [width - out[1], width - out[0]], y: along },
            2 => Area { x: along, y: out },
            _ => Area { x: along, y: [depth - out[1], depth - out[0]] },
        }
    }

    /// A free spot at a wall for something this long and deep.
    fn spot(&mut self, random: &mut Random, length: f64, depth: f64) -> Option<Spot> {
        for _ in 0..TRIES {
            let wall = random.below(4);
            let wall_length = if wall < 2 { self.room.size.y } else { self.room.size.x };
            let spot = Spot { wall, along: random.between(0.5 * length, wall_length - 0.5 * length) };
            let area = self.area_at(spot, [-0.5 * length, 0.5 * length], [0.0, depth]);
            if self.taken.iter().all(|other| !area.overlaps(other, 0.1)) {
                self.taken.push(area);
                return Some(spot);
            }
        }
        None
    }

    fn table_in_the_middle(&mut self, random: &mut Random) {
        let Vector { x: width, y: depth, .. } = self.room.size;
        let (half_x, half_y) = (random.between(0.4, 0.8), random.between(0.35, 0.55));
        let (x, y) = (width * random.between(0.35, 0.65), depth * random.between(0.35, 0.65));
        let area = Area::around(x, y, half_x, half_y);
        let height = random.between(0.42, 0.78);
        self.table(area, height, random);
        self.taken.push(area);
    }

    fn table(&mut self, area: Area, height: f64, random: &mut Random) {
        let wood = self.palette.wood(random);
        self.block(area.x, area.y, [height - 0.05, height], wood);
        for x in [area.x[0] + 0.05, area.x[1] - 0.05] {
            for y in [area.y[0] + 0.05, area.y[1] - 0.05] {
                self.block([x - 0.03, x + 0.03], [y - 0.03, y + 0.03], [0.0, height - 0.05], wood);
            }
        }
        self.places.push((area, height));
    }

    fn rug(&mut self, random: &mut Random) {
        let Vector { x: width, y: depth, .. } = self.room.size;
        let half = Vector::new(width * random.between(0.15, 0.32), depth * random.between(0.15, 0.32), 0.005);
        let centre = Vector::new(width * random.between(0.4, 0.6), depth * random.between(0.4, 0.6), 0.005);
        let surface = self.palette.cloth(random);
        self.solids.push(Solid::new(centre, Shape::Box { half, turn: UNTURNED }, surface));
    }

    /// Something that stands at a wall.
    fn piece(&mut self, random: &mut Random) {
        match random.below(6) {
            0 => self.cabinet(random),
            1 => self.wardrobe(random),
            2 => self.desk(random),
            3 => self.sofa(random),
            4 => self.bed(random),
            _ => self.shelf(random),
        }
    }

    fn cabinet(&mut self, random: &mut Random) {
        let (length, depth, height) = (random.between(0.7, 1.6), random.between(0.4, 0.6), random.between(0.7, 1.1));
        let Some(spot) = self.spot(random, length, depth) else { return };
        let (half, wood) = (0.5 * length, self.palette.wood(random));
        self.block_at(spot, [-half, half], [0.0, depth], [0.0, height], wood);
        let doors = if length > 1.1 { 3 } else { 2 };
        let front = Surface { first: wood.first * 0.82, ..wood };
        let step = length / f64::from(doors);
        for door in 0..doors {
            let from = step.mul_add(f64::from(door), -half);
            self.block_at(spot, [from + 0.03, from + step - 0.03], [depth, depth + 0.02], [0.08, height - 0.05], front);
        }
        self.places.push((self.area_at(spot, [-half, half], [0.0, depth]), height));
    }

    fn wardrobe(&mut self, random: &mut Random) {
        let (length, depth, height) = (random.between(0.8, 1.5), random.between(0.5, 0.65), random.between(1.8, 2.2));
        let Some(spot) = self.spot(random, length, depth) else { return };
        let (half, wood) = (0.5 * length, self.palette.wood(random));
        self.block_at(spot, [-half, half], [0.0, depth], [0.0, height], wood);
        let front = Surface { first: wood.first * 1.12, ..wood };
        self.block_at(spot, [-half + 0.03, -0.01], [depth, depth + 0.02], [0.1, height - 0.05], front);
        self.block_at(spot, [0.01, half - 0.03], [depth, depth + 0.02], [0.1, height - 0.05], front);
    }

    fn desk(&mut self, random: &mut Random) {
        let (length, depth) = (random.between(1.0, 1.8), random.between(0.6, 0.8));
        let Some(spot) = self.spot(random, length, depth) else { return };
        let half = 0.5 * length;
        let area = self.area_at(spot, [-half, half], [0.0, depth]);
        self.table(area, 0.74, random);
        // A screen on it.
        let screen = Surface { glows: true, ..palette::screen(random) };
        self.block_at(spot, [-0.25, 0.25], [0.12, 0.15], [0.84, 1.14], screen);
        let foot = palette::plain(Vector::new(0.2, 0.2, 0.2), random);
        self.block_at(spot, [-0.04, 0.04], [0.1, 0.13], [0.74, 0.86], foot);
    }

    fn sofa(&mut self, random: &mut Random) {
        let (length, depth) = (random.between(1.4, 2.2), random.between(0.8, 0.95));
        let Some(spot) = self.spot(random, length, depth) else { return };
        let (half, cloth) = (0.5 * length, self.palette.cloth(random));
        let darker = Surface { first: cloth.first * 0.9, second: cloth.second * 0.9, ..cloth };
        self.block_at(spot, [-half, half], [0.0, depth], [0.05, 0.42], cloth);
        self.block_at(spot, [-half, half], [0.0, 0.22], [0.42, 0.85], darker);
        self.block_at(spot, [-half, 0.16 - half], [0.22, depth], [0.42, 0.6], darker);
        self.block_at(spot, [half - 0.16, half], [0.22, depth], [0.42, 0.6], darker);
        self.places.push((self.area_at(spot, [0.2 - half, half - 0.2], [0.25, depth]), 0.42));
    }

    fn bed(&mut self, random: &mut Random) {
        let (length, depth) = (random.between(0.9, 1.4), random.between(1.8, 2.0));
        let Some(spot) = self.spot(random, length, depth) else { return };
        let (half, cloth, wood) = (0.5 * length, self.palette.cloth(random), self.palette.wood(random));
        self.block_at(spot, [-half, half], [0.0, depth], [0.0, 0.3], wood);
        self.block_at(spot, [0.02 - half, half - 0.02], [0.04, depth - 0.02], [0.3, 0.5], cloth);
        self.block_at(spot, [-half, half], [0.0, 0.04], [0.3, 0.95], wood);
        let pillow = palette::plain(Vector::new(0.88, 0.87, 0.84), random);
        self.block_at(spot, [0.1 - half, half - 0.1], [0.1, 0.5], [0.5, 0.6], pillow);
        self.places.push((self.area_at(spot, [0.1 - half, half - 0.1], [0.6, depth]), 0.5));
    }

    fn shelf(&mut self, random: &mut Random) {
        let (length, depth, height) = (random.between(0.7, 1.2), random.between(0.28, 0.36), random.between(1.5, 2.1));
        let Some(spot) = self.spot(random, length, depth) else { return };
        let (half, wood) = (0.5 * length, self.palette.wood(random));
        let back = Surface { first: wood.first * 0.7, ..wood };
        self.block_at(spot, [-half, half], [0.0, 0.02], [0.0, height], back);
        self.block_at(spot, [-half, 0.03 - half], [0.02, depth], [0.0, height], wood);
        self.block_at(spot, [half - 0.03, half], [0.02, depth], [0.0, height], wood);
        for board in 0..5 {
            let top = 0.08 + f64::from(board) * (height - 0.11) / 4.0;
            self.block_at(spot, [0.03 - half, half - 0.03], [0.02, depth], [top - 0.03, top], wood);
            if board == 4 {
                continue;
            }
            if board == 2 {
                self.places.push((self.area_at(spot, [0.05 - half, half - 0.05], [0.1, depth]), top));
                continue;
            }
            let end = random.between(-0.2 * half, half - 0.05);
            let books = self.palette.books(random);
            let rise = random.between(0.18, 0.26);
            self.block_at(spot, [0.05 - half, end], [0.05, depth - 0.05], [top, top + rise], books);
        }
    }

    /// A window, a door or a picture.
    fn hang(&mut self, random: &mut Random) {
        let wall = random.below(4);
        let wall_length = if wall < 2 { self.room.size.y } else { self.room.size.x };
        let spot = Spot { wall, along: random.between(0.8, wall_length - 0.8) };
        match random.below(4) {
            0 => {
                let half = 0.5 * random.between(0.8, 1.4);
                let view = Surface { size: half, ..palette::window(random) };
                self.block_at(spot, [-half, half], [0.0, 0.03], [1.45 - half.min(0.6), 1.45 + half.min(0.6)], view);
            }
            1 => {
                let area = self.area_at(spot, [-0.45, 0.45], [0.0, 0.6]);
                if self.taken.iter().all(|other| !area.overlaps(other, 0.0)) {
                    let wood = self.palette.wood(random);
                    self.block_at(spot, [-0.45, 0.45], [0.0, 0.04], [0.0, 2.02], wood);
                    self.taken.push(area);
                }
            }
            _ => {
                let (half, rise) = (random.between(0.2, 0.5), random.between(0.15, 0.4));
                let frame = palette::plain(Vector::new(0.16, 0.13, 0.11), random);
                let picture = self.palette.picture(random);
                self.block_at(spot, [-half, half], [0.0, 0.02], [1.55 - rise, 1.55 + rise], frame);
                let (half, rise) = (half - 0.04, rise - 0.04);
                self.block_at(spot, [-half, half], [0.02, 0.025], [1.55 - rise, 1.55 + rise], picture);
            }
        }
    }

    fn plant(&mut self, random: &mut Random) {
        let Some(spot) = self.spot(random, 0.5, 0.5) else { return };
        let (x, y) = self.area_at(spot, [0.0, 0.0], [0.25, 0.25]).point(random, 0.0);
        let pot = palette::plain(Vector::new(0.45, 0.36, 0.3), random);
        let leaves = palette::leaves(random);
        let (radius, height) = (random.between(0.18, 0.24), random.between(0.45, 0.8));
        let shape = Shape::Cylinder { radius: 0.14, half_height: 0.17 };
        self.solids.push(Solid::new(Vector::new(x, y, 0.17), shape, pot));
        for (dx, dy, rise) in [(0.0, 0.0, 0.0), (0.06, 0.04, 0.2), (-0.05, -0.05, 0.1)] {
            let centre = Vector::new(x + dx, y + dy, height + rise);
            self.solids.push(Solid::new(centre, Shape::Ball { radius: 0.75 * radius }, leaves));
        }
    }

    /// The red thing first, then the others of other colours, then the one that swings.
    fn things(&mut self, random: &mut Random, swings: bool) -> Vec<Thing> {
        let mut things = Vec::new();
        let mut used = Vec::new();
        for index in 0..4 + random.below(3) {
            let (allure, surface) = palette::thing(random, index == 0);
            let shape = thing_shape(random);
            let solid = Solid::new(Vector::ZERO, shape, surface);
            if let Some(centre) = self.place(&solid, &used, random) {
                used.push(Area::around(centre.x, centre.y, solid.reach, solid.reach));
                things.push(Thing { solid: self.solids.len(), allure, swing: None });
                self.solids.push(Solid { centre, ..solid });
            }
        }
        if swings {
            let swing = Swing::hung(self.room.size, random);
            let (_, surface) = palette::thing(random, true);
            let shape = Shape::Ball { radius: random.between(0.1, 0.16) };
            things.push(Thing { solid: self.solids.len(), allure: palette::SWINGING_ALLURE, swing: Some(swing) });
            self.solids.push(Solid::new(swing.centre(0.0), shape, surface));
        }
        things
    }

    /// A free place for the middle of a thing: on furniture, or else on the floor.
    fn place(&self, solid: &Solid, used: &[Area], random: &mut Random) -> Option<Vector> {
        let (radius, height) = match solid.shape {
            Shape::Ball { radius } => (radius, radius),
            Shape::Cylinder { radius, half_height } => (radius, half_height),
            Shape::Box { half, .. } => (half.x.hypot(half.y), half.z),
        };
        for _ in 0..TRIES {
            let on_floor = self.places.is_empty() || random.chance(0.15);
            let (x, y, floor) = if on_floor {
                let Vector { x: width, y: depth, .. } = self.room.size;
                (random.between(0.4, width - 0.4), random.between(0.4, depth - 0.4), 0.0)
            } else {
                let (area, height) = &self.places[random.below(self.places.len())];
                let (x, y) = area.point(random, radius + 0.02);
                (x, y, *height)
            };
            let own = Area::around(x, y, radius, radius);
            let blocked = on_floor && self.taken.iter().any(|area| own.overlaps(area, 0.05));
            if !blocked && !used.iter().any(|other| own.overlaps(other, 0.03)) {
                return Some(Vector::new(x, y, floor + height));
            }
        }
        None
    }
}

/// Ten to twenty centimetres of radius: five pixels of 128 at two metres.
fn thing_shape(random: &mut Random) -> Shape {
    let radius = random.between(0.09, 0.19);
    match random.below(3) {
        0 => Shape::Ball { radius },
        1 => Shape::Cylinder { radius: 0.8 * radius, half_height: radius * random.between(0.7, 1.4) },
        _ => {
            let half = Vector::new(radius, radius * random.between(0.5, 1.0), radius * random.between(0.5, 1.2)) * 0.85;
            Shape::Box { half, turn: random.between(0.0, std::f64::consts::TAU).sin_cos() }
        }
    }
}
