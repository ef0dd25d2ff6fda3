use super::{Operands, linear::project};
use crate::{LiteralData, Padding};

pub(super) fn causal_conv(operands: &Operands<'_>, stride: usize, padding: Padding) -> LiteralData {
    let [batch, in_channels, frames, height, width] = operands.sizes(0);
    let [out_channels, _, kernel_frames, kernel_height, kernel_width] = operands.sizes(1);
    let &[_, _, _, out_height, out_width] = operands.shape else { unreachable!("the builder made five axes") };
    let x = operands.f32(0);
    let pixels = out_height * out_width;
    let kernel = in_channels * kernel_frames * kernel_height * kernel_width;
    let mut values = vec![0.0; operands.count()];
    let mut patches = vec![0.0; pixels * kernel];
    for sample in 0..batch {
        for frame in 0..frames {
            let mut place = 0;
            for (row, column) in (0..out_height).flat_map(|row| (0..out_width).map(move |column| (row, column))) {
                for (channel, dt) in (0..in_channels).flat_map(|c| (0..kernel_frames).map(move |dt| (c, dt))) {
                    // The frames before the first one are the first one.
                    let source_frame = (frame + dt).saturating_sub(kernel_frames - 1);
                    let plane = ((sample * in_channels + channel) * frames + source_frame) * height;
                    for (dh, dw) in (0..kernel_height).flat_map(|dh| (0..kernel_width).map(move |dw| (dh, dw))) {
                        let source_row = (row * stride + dh).checked_sub(padding.before).filter(|&row| row < height);
                        let source_column = (column * stride + dw).checked_sub(padding.before).filter(|&c| c < width);
                        patches[place] = match (source_row, source_column) {
                            (Some(row), Some(column)) => x[(plane + row) * width + column],
                            _ => 0.0,
                        };
                        place += 1;
                    }
                }
            }
            let projected = project(&patches, pixels * out_channels, kernel, operands.f32(1), Some(operands.f32(2)));
            for (pixel, channels) in projected.chunks_exact(out_channels).enumerate() {
                for (channel, &value) in channels.iter().enumerate() {
                    values[((sample * out_channels + channel) * frames + frame) * pixels + pixel] = value;
                }
            }
        }
    }
    LiteralData::F32(values)
}

#[cfg(test)]
mod tests {
    use crate::Padding;
    use crate::interpreter::trial::{f32s, run};

    const NONE: Padding = Padding { before: 0, after: 0 };

    #[test]
    fn the_first_frame_is_repeated_in_front() {
        let x = f32s(&[1, 1, 3, 1, 1], &[1.0, 10.0, 100.0]);
        let weight = f32s(&[1, 1, 3, 1, 1], &[1.0, 2.0, 3.0]);
        let y = run([x, weight, f32s(&[1], &[0.5])], |_, [x, w, b]| x.causal_conv(w, b, 1, NONE));
        assert_eq!(y, Ok(f32s(&[1, 1, 3, 1, 1], &[6.5, 33.5, 321.5])));
    }

    #[test]
    fn space_is_padded_with_zeros() {
        let x = f32s(&[1, 1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        // Only the pixel to the upper left counts.
        let mut weight = [0.0; 9];
        weight[0] = 1.0;
        let inputs = [x, f32s(&[1, 1, 1, 3, 3], &weight), f32s(&[1], &[0.0])];
        let y = run(inputs, |_, [x, w, b]| x.causal_conv(w, b, 1, Padding { before: 1, after: 1 }));
        assert_eq!(y, Ok(f32s(&[1, 1, 1, 2, 2], &[0.0, 0.0, 0.0, 1.0])));
    }

    #[test]
    fn strides_skip_and_the_border_may_lie_behind_only() {
        let x = f32s(&[1, 1, 1, 2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let inputs = [x, f32s(&[1, 1, 1, 3, 3], &[1.0; 9]), f32s(&[1], &[0.0])];
        let y = run(inputs, |_, [x, w, b]| x.causal_conv(w, b, 2, Padding { before: 0, after: 1 }));
        assert_eq!(y, Ok(f32s(&[1, 1, 1, 1, 2], &[24.0, 22.0])));
    }

    #[test]
    fn channels_mix() {
        let x = f32s(&[2, 2, 1, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
        let inputs = [x, f32s(&[2, 2, 1, 1, 1], &[1.0, 1.0, 1.0, -1.0]), f32s(&[2], &[0.0, 100.0])];
        let y = run(inputs, |_, [x, w, b]| x.causal_conv(w, b, 1, NONE));
        assert_eq!(y, Ok(f32s(&[2, 2, 1, 1, 1], &[3.0, 99.0, 7.0, 99.0])));
    }
}
