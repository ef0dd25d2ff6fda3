//! Curves in a frame with numbers at its edges.

use crate::{Canvas, Colour};

const PANEL: Colour = [24, 30, 40];
const GRID: Colour = [44, 52, 66];
const TEXT: Colour = [226, 230, 236];
const NUMBERS: Colour = [136, 146, 160];
/// Room for the title and for the numbers at the left and below.
const TITLE: usize = 36;
const LEFT: usize = 78;
const RIGHT: usize = 28;
const BELOW: usize = 28;

/// Points that are joined; one that is not finite is a gap.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The colour of the line.
    pub colour: Colour,
    /// Where it goes, x and y.
    pub points: Vec<(f64, f64)>,
}

/// Curves in one frame.
#[must_use = "a plot is seen once it is drawn"]
#[derive(Clone, Debug)]
pub struct Plot {
    title: &'static str,
    curves: Vec<Curve>,
    behind: Vec<Curve>,
    marks: Vec<(f64, f64, Colour, &'static str)>,
    legend: Vec<String>,
    equal_axes: bool,
    x_unit: &'static str,
}

impl Plot {
    /// A frame around curves.
    pub fn new(title: &'static str, curves: Vec<Curve>) -> Self {
        Self { title, curves, behind: Vec::new(), marks: Vec::new(), legend: Vec::new(), equal_axes: false, x_unit: "" }
    }

    /// Curves without a name that the others are drawn over.
    pub fn behind(mut self, curves: Vec<Curve>) -> Self {
        self.behind = curves;
        self
    }

    /// The same length on both axes, as a map needs.
    pub fn equal_axes(mut self) -> Self {
        self.equal_axes = true;
        self
    }

    /// The horizontal axis is time in seconds.
    pub fn over_secs(mut self) -> Self {
        self.x_unit = "s";
        self
    }

    /// Names of the curves in order.
    pub fn legend(mut self, names: &[&str]) -> Self {
        self.legend = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// A named point.
    pub fn mark(&mut self, point: Option<(f64, f64)>, colour: Colour, name: &'static str) {
        self.marks.extend(point.map(|(x, y)| (x, y, colour, name)));
    }

    /// Draws the plot into a rectangle, which should be larger than what title and numbers take: 106 by 64 pixels.
    pub fn draw(&self, canvas: &mut Canvas, (left, top): (usize, usize), (width, height): (usize, usize)) {
        canvas.fill((left as f32, top as f32), (width as f32, height as f32), PANEL);
        canvas.text((left + 8, top + 8), 2, TEXT, self.title);
        let inner = ((left + LEFT) as f32, (top + TITLE) as f32);
        let inside = |length: usize, edges: usize| length.saturating_sub(edges).max(1) as f32;
        let size = (inside(width, LEFT + RIGHT), inside(height, TITLE + BELOW));
        let (xs, ys) = self.ranges(f64::from(size.0 / size.1));
        let place = |x: f64, y: f64| {
            let share = |value: f64, range: (f64, f64)| ((value - range.0) / (range.1 - range.0)) as f32;
            (inner.0 + share(x, xs) * size.0, inner.1 + (1.0 - share(y, ys)) * size.1)
        };
        for tick in ticks(xs) {
            let (x, _) = place(tick, ys.0);
            canvas.line((x, inner.1), (x, inner.1 + size.1), 1.0, GRID);
            let label = number(tick, xs) + self.x_unit;
            let half_width = label.len() * 6;
            canvas.text(
                ((x as usize).saturating_sub(half_width), (top + height).saturating_sub(20)),
                2,
                NUMBERS,
                &label,
            );
        }
        for tick in ticks(ys) {
            let (_, y) = place(xs.0, tick);
            canvas.line((inner.0, y), (inner.0 + size.0, y), 1.0, GRID);
            canvas.text((left + 8, y as usize - 7), 2, NUMBERS, &number(tick, ys));
        }
        for curve in self.behind.iter().chain(&self.curves) {
            for pair in curve.points.windows(2).filter(|pair| pair.iter().all(is_finite)) {
                canvas.line(place(pair[0].0, pair[0].1), place(pair[1].0, pair[1].1), 2.0, curve.colour);
            }
        }
        for (x, y, colour, name) in &self.marks {
            let center = place(*x, *y);
            canvas.disc(center, 5.0, *colour);
            canvas.text((center.0 as usize + 10, (center.1 as usize).saturating_sub(7)), 2, *colour, name);
        }
        let label_width = |name: &String| name.len() * 12 + 16;
        let mut x = (left + width - 12).saturating_sub(self.legend.iter().map(label_width).sum());
        for (name, curve) in self.legend.iter().zip(&self.curves) {
            canvas.text((x, top + 8), 2, curve.colour, name);
            x += label_width(name);
        }
    }

    /// What the axes span: all points and a little more.
    fn ranges(&self, aspect: f64) -> ((f64, f64), (f64, f64)) {
        let curves = || self.behind.iter().chain(&self.curves);
        let points = || curves().flat_map(|curve| &curve.points).filter(|point| is_finite(point));
        let (xs, ys) = (span(points().map(|point| point.0)), span(points().map(|point| point.1)));
        if !self.equal_axes {
            return (xs, ys);
        }
        let width = (xs.1 - xs.0).max((ys.1 - ys.0) * aspect);
        let around = |range: (f64, f64), width: f64| {
            (f64::midpoint(range.0, range.1) - width / 2.0, f64::midpoint(range.0, range.1) + width / 2.0)
        };
        (around(xs, width), around(ys, width / aspect))
    }
}

fn is_finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// The range of some values with a margin, and never empty.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let margin = ((high - low) * 0.06).max(1e-3);
    (low - margin, high + margin)
}

/// Three to eight round numbers in a range.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

fn number(value: f64, (low, high): (f64, f64)) -> String {
    let decimals = (0.5 - (high - low).log10()).ceil().clamp(0.0, 4.0) as usize;
    // Negative zero would print its sign.
    format!("{:.decimals$}", value + 0.0)
}

#[cfg(test)]
mod tests {
    use super::{Curve, Plot, number, span, ticks};
    use crate::Canvas;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((-0.1, 1.1)), [0.0, 0.5, 1.0]);
        for range in [(0.0, 2.0), (-3.7, 12.2), (1e-4, 3e-4), (-1e6, 1e6)] {
            let ticks = ticks(range);
            assert!((2..=8).contains(&ticks.len()), "{range:?}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (range.0..=range.1).contains(tick)), "{range:?}: {ticks:?}");
        }
    }

    #[test]
    fn a_constant_has_a_range_and_nothing_has_one_too() {
        let (low, high) = span([2.0, 2.0].into_iter());
        assert!(low < 2.0 && high > 2.0);
        assert_eq!(span([].into_iter()), (0.0, 1.0));
    }

    #[test]
    fn what_is_not_finite_is_a_gap() {
        let draw = |middle: f64| {
            let curve = Curve { colour: [200, 0, 0], points: vec![(0.0, 0.0), (1.0, middle), (2.0, 0.0), (3.0, 0.0)] };
            let mut canvas = Canvas::new(400, 200, [0; 3]);
            Plot::new("", Vec::new()).behind(vec![curve]).draw(&mut canvas, (0, 0), (400, 200));
            canvas.count([200, 0, 0])
        };
        let [whole, broken] = [0.0, f64::NAN].map(draw);
        assert!(broken * 5 > whole && broken * 2 < whole, "{broken} of {whole} pixels");
    }

    #[test]
    fn numbers_have_the_digits_that_tell_them_apart() {
        assert_eq!(number(0.25, (0.0, 0.3)), "0.25");
        assert_eq!(number(-0.0, (-1.0, 1.0)), "0.0");
        assert_eq!(number(500.0, (0.0, 2000.0)), "500");
    }
}
