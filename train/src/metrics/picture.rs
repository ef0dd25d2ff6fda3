use super::{LOSS, Result, VALIDATION_LOSS, read_lines};
use egom2p_plot::{Canvas, Colour, Curve, Plot};
use std::{collections::BTreeMap, path::Path};

const BACKGROUND: Colour = [16, 20, 28];
const QUIET: Colour = [70, 84, 108];
const BLUE: Colour = [96, 160, 255];
const ORANGE: Colour = [255, 176, 64];
/// Colours of the parts of the loss in the order of their names.
const PARTS: [Colour; 6] =
    [[240, 96, 88], [104, 208, 120], [96, 160, 255], [255, 176, 64], [190, 130, 255], [80, 210, 210]];
/// What the names of the parts begin with.
const PART_PREFIX: &str = "loss/";
const WIDTH: usize = 1000;
const HEIGHT: usize = 420;
const GAP: usize = 12;
/// The most points of a mean: more would lie in the same column.
const MAX_POINTS: usize = 400;
/// The share of the past in a smoothed curve.
const SMOOTHING: f64 = 0.98;

/// Points of a curve, finite numbers only.
type Points = Vec<(f64, f64)>;

/// Draws the loss of a file of metrics as PNG: as it was and smoothed, with the validation's, and below it the parts
/// (`loss/PART`), where there are any.
pub fn draw_loss(lines: &Path, picture: &Path) -> Result<()> {
    let mut series: BTreeMap<String, Points> = BTreeMap::new();
    read_lines(lines, |metrics| {
        for (name, value) in metrics.values.into_iter().filter(|(_, value)| value.is_finite()) {
            if name == LOSS || name == VALIDATION_LOSS || name.starts_with(PART_PREFIX) {
                series.entry(name).or_default().push((metrics.step as f64, value));
            }
        }
    })?;
    let (loss, validation) = (series.remove(LOSS), series.remove(VALIDATION_LOSS));
    let n_panels = if series.is_empty() { 1 } else { 2 };
    let mut canvas = Canvas::new(WIDTH, GAP + n_panels * (HEIGHT + GAP), BACKGROUND);
    let panel = |index: usize| ((GAP, GAP + index * (HEIGHT + GAP)), (WIDTH - 2 * GAP, HEIGHT));
    let mut curves = Vec::new();
    let mut legend = Vec::new();
    for (name, colour, points) in [
        ("all steps", QUIET, loss.as_deref().map(spread)),
        ("smoothed", BLUE, loss.as_deref().map(smoothed)),
        ("validation", ORANGE, validation.as_deref().map(thinned)),
    ] {
        if let Some(points) = points {
            curves.push(Curve { colour, points });
            legend.push(name);
        }
    }
    let (place, size) = panel(0);
    Plot::new("Loss over steps", curves).legend(&legend).draw(&mut canvas, place, size);
    if !series.is_empty() {
        let curve = |(points, colour): (&Points, &Colour)| Curve { colour: *colour, points: smoothed(points) };
        let curves = series.values().zip(PARTS.iter().cycle()).map(curve).collect();
        let legend: Vec<&str> = series.keys().map(|name| &name[PART_PREFIX.len()..]).collect();
        let (place, size) = panel(1);
        Plot::new("Parts, smoothed", curves).legend(&legend).draw(&mut canvas, place, size);
    }
    Ok(canvas.write_png(picture)?)
}

/// The lowest and the highest of neighbours, in turn.
fn spread(points: &[(f64, f64)]) -> Points {
    let ends = |neighbours: &[(f64, f64)]| {
        let by_value = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        let ends = [neighbours.iter().min_by(by_value), neighbours.iter().max_by(by_value)];
        ends.into_iter().flatten().copied().collect::<Points>()
    };
    neighbourhoods(points).flat_map(ends).collect()
}

/// The running mean of a curve, whose first point counts no more than the others, thinned.
fn smoothed(points: &[(f64, f64)]) -> Points {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mean = |&(x, y): &(f64, f64)| {
        (sum, weight) = (SMOOTHING * sum + y, SMOOTHING * weight + 1.0);
        (x, sum / weight)
    };
    thinned(&points.iter().map(mean).collect::<Points>())
}

/// Means of neighbours, as many as fit.
fn thinned(points: &[(f64, f64)]) -> Points {
    let mean = |neighbours: &[(f64, f64)]| {
        let n = neighbours.len() as f64;
        (
            neighbours.iter().map(|point| point.0).sum::<f64>() / n,
            neighbours.iter().map(|point| point.1).sum::<f64>() / n,
        )
    };
    neighbourhoods(points).map(mean).collect()
}

/// Points that share a place of the picture.
fn neighbourhoods(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    points.chunks(points.len().div_ceil(MAX_POINTS).max(1))
}

#[cfg(test)]
mod tests {
    use super::{MAX_POINTS, smoothed, spread, thinned};

    #[test]
    fn a_constant_stays_itself_and_the_ends_stay_in_place() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|step| (f64::from(step), 3.0)).collect();
        for curve in [thinned(&points), smoothed(&points)] {
            assert!(curve.len() <= MAX_POINTS && curve.len() > MAX_POINTS / 2);
            assert!(curve.iter().all(|point| (point.1 - 3.0).abs() < 1e-9));
            assert!(curve[0].0 < 250.0 && curve[curve.len() - 1].0 > 99_750.0);
        }
        assert_eq!(thinned(&points[..3]), points[..3]);
        assert_eq!(smoothed(&[]), []);
    }

    #[test]
    fn the_spread_reaches_the_lowest_and_the_highest() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|step| (f64::from(step), 1.0)).collect();
        (points[1234].1, points[5678].1) = (-7.0, 9.0);
        let curve = spread(&points);
        assert!(curve.len() <= 2 * MAX_POINTS);
        assert!(curve.contains(&(1234.0, -7.0)) && curve.contains(&(5678.0, 9.0)));
    }

    #[test]
    fn a_smoothed_step_rises_slowly() {
        let points: Vec<(f64, f64)> =
            (0..300).map(|step| (f64::from(step), if step < 200 { 0.0 } else { 1.0 })).collect();
        let curve = smoothed(&points);
        assert!(curve[199].1.abs() < 1e-12 && curve[200].1 < 0.05 && curve[299].1 > 0.8 && curve[299].1 < 0.9);
    }
}
