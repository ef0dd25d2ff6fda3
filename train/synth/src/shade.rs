use crate::lamp::Lamp;
use crate::scene::Scene;
use crate::vector::Vector;

/// Squares along one edge of each face of the cube around the lamp.
const SQUARES: usize = 8;

/// Which bodies may stand in the lamp's light, by direction from the lamp: a cube around it, each face in squares.
///
/// It holds for a scene at every time, whatever swings.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Shades {
    squares: Vec<Vec<usize>>,
}

impl Shades {
    pub(crate) fn new(scene: &Scene) -> Self {
        let Lamp::Room(lamp) = scene.lamp else { return Self { squares: Vec::new() } };
        let squares = (0..6 * SQUARES * SQUARES).map(|square| {
            let cone = Cone::around(square);
            let solids = scene.solids.iter().enumerate();
            let may_shade = solids.filter(|(index, solid)| {
                let swings = scene.things.iter().any(|thing| thing.solid == *index && thing.swing.is_some());
                !solid.surface.glows && (swings || cone.meets(solid.centre - lamp, solid.reach))
            });
            may_shade.map(|(index, _)| index).collect()
        });
        Self { squares: squares.collect() }
    }

    /// Whether something stands between a point and the lamp of the room.
    pub(crate) fn is_shaded(&self, scene: &Scene, lamp: Vector, point: Vector) -> bool {
        let to_lamp = lamp - point;
        self.squares[square_of(-to_lamp)].iter().any(|&index| {
            // The lamp is at distance 1 in lengths of the direction to it.
            scene.solids[index].distance(point, to_lamp).is_some_and(|distance| distance < 1.0)
        })
    }
}

/// The directions within an angle of an axis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cone {
    axis: Vector,
    opening: f64,
}

impl Cone {
    /// The narrowest cone around a middle direction that holds these others.
    pub(crate) fn new(middle: Vector, others: &[Vector]) -> Self {
        let axis = middle.unit();
        Self { axis, opening: others.iter().map(|other| axis.angle(*other)).fold(0.0, f64::max) }
    }

    /// Whether it meets a ball; `centre` is seen from the cone's tip.
    pub(crate) fn meets(&self, centre: Vector, radius: f64) -> bool {
        let distance = centre.length();
        distance <= radius || self.axis.angle(centre) <= self.opening + (radius / distance).asin()
    }

    /// The cone around a square of the cube.
    fn around(square: usize) -> Self {
        let (face, row, column) = (square / (SQUARES * SQUARES), square / SQUARES % SQUARES, square % SQUARES);
        let at = |i: usize, j: usize, within: f64| {
            let share = |index: usize| (index as f64 + within) * 2.0 / SQUARES as f64 - 1.0;
            on_face(face, share(i), share(j))
        };
        let corners =
            [at(row, column, 0.0), at(row, column + 1, 0.0), at(row + 1, column, 0.0), at(row + 1, column + 1, 0.0)];
        Self::new(at(row, column, 0.5), &corners)
    }
}

/// A point of the cube from -1 to 1: two faces across each axis, the lower one first.
fn on_face(face: usize, first: f64, second: f64) -> Vector {
    let side = if face.is_multiple_of(2) { -1.0 } else { 1.0 };
    match face / 2 {
        0 => Vector::new(side, first, second),
        1 => Vector::new(first, side, second),
        _ => Vector::new(first, second, side),
    }
}

/// The square that a direction goes through.
fn square_of(direction: Vector) -> usize {
    let Vector { x, y, z } = direction;
    let (axis, along, first, second) = if x.abs() >= y.abs() && x.abs() >= z.abs() {
        (0, x, y, z)
    } else if y.abs() >= z.abs() {
        (1, y, x, z)
    } else {
        (2, z, x, y)
    };
    let index = |value: f64| (((value / along.abs() + 1.0) * 0.5 * SQUARES as f64) as usize).min(SQUARES - 1);
    let face = 2 * axis + usize::from(along > 0.0);
    (face * SQUARES + index(first)) * SQUARES + index(second)
}

#[cfg(test)]
mod tests {
    use super::{Cone, square_of};
    use crate::random::Random;
    use crate::vector::Vector;

    #[test]
    fn a_square_holds_what_goes_through_it() {
        let mut random = Random::new("squares", &[]);
        for _ in 0..20_000 {
            let direction = Vector::new(random.normal(), random.normal(), random.normal());
            let square = square_of(direction);
            assert!(Cone::around(square).meets(direction, 1e-9), "{direction:?} is not in {square}");
        }
    }
}
