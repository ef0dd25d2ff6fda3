//! The three-dimensional Haar transform of the video tokenizer, specification section 3.2.
//!
//! One step takes `[channels, t, h, w]` to `[8 * channels, t/2, h/2, w/2]`. Subbands lie one after the other in the channel
//! axis, each with all channels, in the order LLL, LLH, LHL, LHH, HLL, HLH, HHL, HHH; the letters stand for time, height and
//! width. L is `a + b` of two neighbours, H is `a - b`, and every sum of 8 voxels is divided by 8.

use super::{InterpretError, Operands};
use crate::LiteralData;

/// A batch of videos between two steps.
struct Volume {
    values: Vec<f32>,
    shape: [usize; 5],
}

pub(super) fn patch(operands: &Operands<'_>, patch: usize) -> Result<LiteralData, InterpretError> {
    let [batch, channels, frames, height, width] = operands.sizes(0);
    let repeated = frames + (patch - 1);
    if [repeated, height, width].iter().any(|size| !size.is_multiple_of(patch)) {
        let reason = format!("{frames} frames of {height} x {width} do not split into patches of {patch}");
        return Err(operands.unsupported(reason));
    }
    let plane = height * width;
    let mut values = Vec::with_capacity(batch * channels * repeated * plane);
    for video in operands.f32(0).chunks_exact(frames * plane) {
        (1..patch).for_each(|_| values.extend_from_slice(&video[..plane]));
        values.extend_from_slice(video);
    }
    let mut volume = Volume { values, shape: [batch, channels, repeated, height, width] };
    for _ in 0..patch.ilog2() {
        volume = volume.analysed();
    }
    Ok(LiteralData::F32(volume.values))
}

pub(super) fn unpatch(operands: &Operands<'_>, patch: usize) -> LiteralData {
    let mut volume = Volume { values: operands.f32(0).to_vec(), shape: operands.sizes(0) };
    for _ in 0..patch.ilog2() {
        volume = volume.synthesised();
    }
    let [_, _, frames, height, width] = volume.shape;
    let plane = height * width;
    let mut values = Vec::with_capacity(operands.count());
    for video in volume.values.chunks_exact(frames * plane) {
        values.extend_from_slice(&video[(patch - 1) * plane..]);
    }
    LiteralData::F32(values)
}

impl Volume {
    fn analysed(&self) -> Self {
        let [batch, channels, frames, height, width] = self.shape;
        let mut fine = Self {
            values: vec![0.0; self.values.len()],
            shape: [batch, 8 * channels, frames / 2, height / 2, width / 2],
        };
        for [sample, channel, t, h, w] in places([batch, channels, frames / 2, height / 2, width / 2]) {
            for band in 0..8 {
                let sum: f64 =
                    (0..8).map(|voxel| sign(band, voxel) * self.at(sample, channel, neighbour([t, h, w], voxel))).sum();
                let place = fine.place(sample, band * channels + channel, [t, h, w]);
                fine.values[place] = (sum / 8.0) as f32;
            }
        }
        fine
    }

    fn synthesised(&self) -> Self {
        let [batch, bands, frames, height, width] = self.shape;
        let channels = bands / 8;
        let mut coarse =
            Self { values: vec![0.0; self.values.len()], shape: [batch, channels, frames * 2, height * 2, width * 2] };
        for [sample, channel, t, h, w] in places([batch, channels, frames, height, width]) {
            for voxel in 0..8 {
                let sum: f64 =
                    (0..8).map(|band| sign(band, voxel) * self.at(sample, band * channels + channel, [t, h, w])).sum();
                let place = coarse.place(sample, channel, neighbour([t, h, w], voxel));
                coarse.values[place] = sum as f32;
            }
        }
        coarse
    }

    fn at(&self, sample: usize, channel: usize, voxel: [usize; 3]) -> f64 {
        f64::from(self.values[self.place(sample, channel, voxel)])
    }

    fn place(&self, sample: usize, channel: usize, [t, h, w]: [usize; 3]) -> usize {
        let [_, channels, frames, height, width] = self.shape;
        (((sample * channels + channel) * frames + t) * height + h) * width + w
    }
}

/// The sign of a voxel in a subband: bits 2, 1, 0 stand for time, height and width, in the band for H, in the voxel for the
/// second of two neighbours.
fn sign(band: usize, voxel: usize) -> f64 {
    if (band & voxel).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

fn neighbour([t, h, w]: [usize; 3], voxel: usize) -> [usize; 3] {
    [2 * t + (voxel >> 2), 2 * h + (voxel >> 1 & 1), 2 * w + (voxel & 1)]
}

fn places([a, b, c, d, e]: [usize; 5]) -> impl Iterator<Item = [usize; 5]> {
    (0..a * b * c * d * e)
        .map(move |flat| [flat / (b * c * d * e), flat / (c * d * e) % b, flat / (d * e) % c, flat / e % d, flat % e])
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::{f32s, run};

    #[test]
    fn one_step_of_one_block_gives_the_eight_subbands_in_order() {
        // Frame 0 is repeated, so time differences come from frames 0 and 0; the second block has frames 1 and 2.
        let frames = [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [9.0, 10.0, 11.0, 12.0]].concat();
        let y = run([f32s(&[1, 1, 3, 2, 2], &frames)], |_, [x]| x.haar_patch(2)).expect("sound");
        assert_eq!(y.shape(), [1, 8, 2, 1, 1]);
        let y = y.as_f32().expect("floats");
        let first: Vec<f32> = y.iter().step_by(2).copied().collect();
        let second: Vec<f32> = y.iter().skip(1).step_by(2).copied().collect();
        // LLL is the mean; LLH half the step to the left, LHL half the step upwards, HLL half the step back in time.
        assert_eq!(first, [2.5, -0.5, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(second, [6.5, -0.5, -1.0, 0.0, -4.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn channels_lie_inside_subbands() {
        let x = f32s(&[1, 2, 1, 2, 2], &[1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 2.0, 4.0]);
        let y = run([x], |_, [x]| x.haar_patch(2)).expect("sound");
        let y = y.as_f32().expect("floats");
        assert_eq!(y[..4], [1.0, 3.0, 0.0, -1.0]);
    }

    #[test]
    fn two_steps_come_back() {
        let values: Vec<f32> = (0..2 * 3 * 5 * 8 * 4).map(|i| ((i * 37 + 11) % 101) as f32).collect();
        let x = f32s(&[2, 3, 5, 8, 4], &values);
        let y = run([x.clone()], |_, [x]| x.haar_patch(4)).expect("sound");
        assert_eq!(y.shape(), [2, 192, 2, 2, 1]);
        assert_eq!(run([y], |_, [y]| y.haar_unpatch(4)), Ok(x.clone()));
        assert_eq!(run([x.clone()], |_, [x]| x.haar_patch(1).haar_unpatch(1)), Ok(x));
    }

    #[test]
    fn sizes_that_do_not_split_are_errors() {
        let error = run([f32s(&[1, 1, 2, 2, 2], &[0.0; 8])], |_, [x]| x.haar_patch(2)).expect_err("2 frames make 3");
        let what = "trial: haar_patch: 2 frames of 2 x 2 do not split into patches of 2";
        assert_eq!(error.lines().next(), Some(what));
    }
}
