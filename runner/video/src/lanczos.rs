//! Scaling with Lanczos' filter.

use std::f64::consts::PI;

/// Half width of the filter in target pixels (or source pixels, where the picture grows).
const LOBES: f64 = 3.0;

/// Scales pictures of one size to another.
///
/// The three-lobed Lanczos filter is widened when the picture shrinks, as in ffmpeg's `scale=flags=lanczos` with which
/// the published data were made; OpenCV's own `INTER_LANCZOS4` keeps its width and aliases. An axis whose size does not
/// change is passed through exactly.
pub(crate) struct Lanczos {
    columns: Axis,
    rows: Axis,
}

impl Lanczos {
    /// Scales from `(width, height)` to `(width, height)`.
    pub(crate) fn new(from: (usize, usize), to: (usize, usize)) -> Self {
        Self { columns: Axis::new(from.0, to.0), rows: Axis::new(from.1, to.1) }
    }

    /// Scales three-channel bytes `[height, width, 3]` of the size that this was made for.
    pub(crate) fn scale(&self, pixels: &[u8]) -> Vec<u8> {
        let (width_in, width) = (self.columns.n_in, self.columns.taps.len());
        let mut narrowed = Vec::with_capacity(self.rows.n_in * width * 3);
        for row in pixels.chunks_exact(width_in * 3) {
            for taps in &self.columns.taps {
                let mut sums = [0f32; 3];
                for (weight, pixel) in taps.weights.iter().zip(row[taps.first * 3..].chunks_exact(3)) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += weight * f32::from(*value);
                    }
                }
                narrowed.extend(sums);
            }
        }
        let mut scaled = Vec::with_capacity(self.rows.taps.len() * width * 3);
        let mut sums = vec![0f32; width * 3];
        for taps in &self.rows.taps {
            sums.fill(0.0);
            for (weight, row) in taps.weights.iter().zip(narrowed[taps.first * width * 3..].chunks_exact(width * 3)) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += weight * value;
                }
            }
            // The conversion clamps to 0 and 255, where the filter's negative lobes overshoot.
            scaled.extend(sums.iter().map(|sum| (sum + 0.5).floor() as u8));
        }
        scaled
    }
}

/// The filter along one axis.
struct Axis {
    n_in: usize,
    taps: Vec<Taps>,
}

/// What one target pixel takes from consecutive source pixels.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Axis {
    fn new(n_in: usize, n_out: usize) -> Self {
        let scale = n_in as f64 / n_out as f64;
        let stretch = scale.max(1.0);
        let taps = (0..n_out).map(|index| {
            let center = (index as f64 + 0.5) * scale;
            let first = (center - LOBES * stretch).floor().max(0.0) as usize;
            let last = ((center + LOBES * stretch).ceil() as usize).min(n_in);
            let weights: Vec<f64> =
                (first..last).map(|source| lanczos((source as f64 + 0.5 - center) / stretch)).collect();
            let total: f64 = weights.iter().sum();
            Taps { first, weights: weights.iter().map(|weight| (weight / total) as f32).collect() }
        });
        Self { n_in, taps: taps.collect() }
    }
}

fn lanczos(x: f64) -> f64 {
    if x.abs() >= LOBES { 0.0 } else { sinc(x) * sinc(x / LOBES) }
}

fn sinc(x: f64) -> f64 {
    // At whole numbers the exact zero matters: it is what passes an unchanged axis through.
    if x == 0.0 {
        1.0
    } else if x.fract() == 0.0 {
        0.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

#[cfg(test)]
mod tests {
    use super::Lanczos;

    #[test]
    fn the_same_size_passes_exactly() {
        let pixels: Vec<u8> = (0..5 * 4 * 3).map(|index| (index * 37 % 256) as u8).collect();
        assert_eq!(Lanczos::new((5, 4), (5, 4)).scale(&pixels), pixels);
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        for to in [(3, 7), (64, 48), (1, 1)] {
            let scaled = Lanczos::new((31, 17), to).scale(&[200; 31 * 17 * 3]);
            assert_eq!(scaled, vec![200; to.0 * to.1 * 3]);
        }
    }

    #[test]
    fn shrinking_averages_fine_stripes_instead_of_picking_one() {
        let row: Vec<u8> = (0..64).flat_map(|x| [if x % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let scaled = Lanczos::new((64, 1), (16, 1)).scale(&row);
        // Away from the border, stripes finer than the target's pixels blend to their mean.
        assert!(scaled[12..36].iter().all(|value| value.abs_diff(127) <= 2), "{scaled:?}");
    }

    #[test]
    fn a_ramp_keeps_its_slope_and_is_not_shifted() {
        let row: Vec<u8> = (0..128).flat_map(|x| [x as u8 * 2; 3]).collect();
        let scaled = Lanczos::new((128, 1), (32, 1)).scale(&row);
        // Target pixel 16 is centred on source position 16.5 * 4 - 0.5 = 65.5, where the ramp is 131.
        assert!(scaled[48].abs_diff(131) <= 1, "{}", scaled[48]);
    }

    #[test]
    fn overshoot_is_clamped() {
        let row: Vec<u8> = (0..8).flat_map(|x| [if x < 4 { 0 } else { 255 }; 3]).collect();
        let scaled = Lanczos::new((8, 1), (32, 1)).scale(&row);
        assert_eq!((scaled[0], scaled[32 * 3 - 1]), (0, 255));
    }
}
