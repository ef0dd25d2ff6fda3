//! Halving and doubling of frames.

use super::Operands;
use crate::LiteralData;

pub(super) fn average_pool(operands: &Operands<'_>) -> LiteralData {
    let [batch, channels, frames, height, width] = operands.sizes(0);
    let x = operands.f32(0);
    let mut values = Vec::with_capacity(operands.count());
    for plane in 0..batch * channels * frames {
        for (row, column) in (0..height / 2).flat_map(|row| (0..width / 2).map(move |column| (row, column))) {
            let corner = (plane * height + 2 * row) * width + 2 * column;
            let block = [corner, corner + 1, corner + width, corner + width + 1];
            values.push((block.iter().map(|&place| f64::from(x[place])).sum::<f64>() / 4.0) as f32);
        }
    }
    LiteralData::F32(values)
}

pub(super) fn upsample_nearest(operands: &Operands<'_>) -> LiteralData {
    let [_, _, _, _, width] = operands.sizes(0);
    let mut values = Vec::with_capacity(operands.count());
    for row in operands.f32(0).chunks_exact(width) {
        for _ in 0..2 {
            values.extend(row.iter().flat_map(|&x| [x, x]));
        }
    }
    LiteralData::F32(values)
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::{f32s, run};

    #[test]
    fn pooling_takes_means_and_drops_an_odd_border() {
        let x = f32s(&[1, 1, 1, 3, 3], &[1.0, 2.0, 9.0, 3.0, 6.0, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!(run([x], |_, [x]| x.average_pool()), Ok(f32s(&[1, 1, 1, 1, 1], &[3.0])));
        let x = f32s(&[1, 2, 1, 2, 2], &[0.0, 0.0, 0.0, 4.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(run([x], |_, [x]| x.average_pool()), Ok(f32s(&[1, 2, 1, 1, 1], &[1.0, 1.0])));
    }

    #[test]
    fn upsampling_repeats_pixels() {
        let x = f32s(&[1, 1, 1, 1, 2], &[1.0, 2.0]);
        let expected = f32s(&[1, 1, 1, 2, 4], &[1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        assert_eq!(run([x], |_, [x]| x.upsample_nearest()), Ok(expected));
    }
}
