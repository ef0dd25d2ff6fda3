//! The fixed position embeddings (specification section 1.3), computed in `f64` and rounded once.

/// The one-dimensional table `[length, dim]`, row-major: the sines of all `dim / 2` frequencies, then the cosines.
///
/// Frequency `i` is `10000^(-i / (dim / 2))`. `None` when `dim` is odd or the table would be too large to address.
pub fn sincos_1d(length: usize, dim: usize) -> Option<Vec<f32>> {
    if !dim.is_multiple_of(2) {
        return None;
    }
    let frequencies = frequencies(dim / 2, dim as f64 / 2.0, 1);
    let mut table = allocated(length.checked_mul(dim)?)?;
    for position in 0..length {
        table.extend(frequencies.iter().map(|frequency| (position as f64 * frequency).sin() as f32));
        table.extend(frequencies.iter().map(|frequency| (position as f64 * frequency).cos() as f32));
    }
    Some(table)
}

/// The three-dimensional table `[time * height * width, dim]` of a `[time, height, width]` grid, row-major, width fastest.
///
/// Each axis has `dim / 3` channels, time first, with sine and cosine of each frequency side by side; frequency `j` of
/// an axis with `c` channels is `10000^(-2j / c)`. `None` when `dim` is not a multiple of six or the table would be too
/// large to address.
pub fn sincos_3d(grid: [usize; 3], dim: usize) -> Option<Vec<f32>> {
    if !dim.is_multiple_of(6) {
        return None;
    }
    let channels = dim / 3;
    let frequencies = frequencies(channels / 2, channels as f64, 2);
    let axis = |length: usize| -> Vec<f32> {
        let angles = (0..length).flat_map(|position| frequencies.iter().map(move |f| position as f64 * f));
        angles.flat_map(|angle| [angle.sin() as f32, angle.cos() as f32]).collect()
    };
    let n_rows = grid.into_iter().try_fold(1_usize, usize::checked_mul)?;
    let mut table = allocated(n_rows.checked_mul(dim)?)?;
    if table.capacity() == 0 {
        return Some(table);
    }
    let [times, heights, widths] = grid.map(axis);
    for time in times.chunks_exact(channels) {
        for height in heights.chunks_exact(channels) {
            for width in widths.chunks_exact(channels) {
                table.extend_from_slice(time);
                table.extend_from_slice(height);
                table.extend_from_slice(width);
            }
        }
    }
    Some(table)
}

/// `10000^(-i * step / denominator)` for `n` values of `i`.
fn frequencies(n: usize, denominator: f64, step: usize) -> Vec<f64> {
    (0..n).map(|i| 1.0 / 10000_f64.powf((i * step) as f64 / denominator)).collect()
}

fn allocated(n_values: usize) -> Option<Vec<f32>> {
    let mut table = Vec::new();
    table.try_reserve_exact(n_values).ok()?;
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dimensional_rows_hold_sines_then_cosines() {
        let table = sincos_1d(3, 4).expect("an even width");
        let slow = 2.0 / 100.0;
        let row: Vec<f32> = [2_f64.sin(), f64::sin(slow), 2_f64.cos(), f64::cos(slow)].map(|v| v as f32).into();
        assert_eq!(table[8..], row);
    }

    #[test]
    fn three_dimensional_rows_interleave_and_width_is_fastest() {
        let table = sincos_3d([2, 1, 2], 12).expect("a multiple of six");
        let slow = 1.0 / 100.0;
        let one = [1_f64.sin(), 1_f64.cos(), f64::sin(slow), f64::cos(slow)].map(|v| v as f32);
        let zero = [0.0, 1.0, 0.0, 1.0];
        let rows: Vec<&[f32]> = table.chunks_exact(12).collect();
        assert_eq!(rows[1], [zero, zero, one].concat());
        assert_eq!(rows[2], [one, zero, zero].concat());
    }

    #[test]
    fn impossible_widths_have_no_table() {
        assert!(sincos_1d(3, 5).is_none());
        assert!(sincos_3d([1, 1, 1], 8).is_none());
        assert!(sincos_1d(usize::MAX, 2).is_none());
        assert_eq!(sincos_3d([0, 4, 4], 6), Some(Vec::new()));
        assert_eq!(sincos_3d([usize::MAX, 0, 2], 6), Some(Vec::new()));
    }
}
