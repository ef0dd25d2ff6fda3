//! Frames as pixels and frames as the video tokenizer's tensors (specification section 3.1).

use std::ops::Range;

use egom2p_engine_core::{EngineError, Tensor};

/// The published padding aligns `frames - 1` to this many.
const TEMPORAL_ALIGNMENT: usize = 8;

/// Pixels of a clip: RGB bytes `[frames, height, width, 3]`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::struct_field_names, reason = "a count is called n_ everywhere")]
pub struct Frames {
    pixels: Vec<u8>,
    n_frames: usize,
    height: usize,
    width: usize,
}

impl Frames {
    /// Frames of these sizes; `None` unless there are exactly `n_frames * height * width * 3` bytes.
    pub fn new(pixels: Vec<u8>, n_frames: usize, height: usize, width: usize) -> Option<Self> {
        let expected = n_frames.checked_mul(height)?.checked_mul(width)?.checked_mul(3)?;
        (expected == pixels.len()).then_some(Self { pixels, n_frames, height, width })
    }

    /// RGB bytes `[frames, height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The number of frames.
    pub fn n_frames(&self) -> usize {
        self.n_frames
    }

    /// Rows of a frame.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of a frame.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The tokenizer's input `[1, 3, padded, height, width]` in [-1, 1], and which of its frames are these.
    ///
    /// Frames are repeated at both ends as published: 16 frames get one more at the end.
    pub fn to_tensor(&self) -> Result<(Tensor, Range<usize>), EngineError> {
        let (before, after) = padding(self.n_frames);
        let padded = before + self.n_frames + after;
        let frame = self.height * self.width;
        let mut values = vec![0.0_f32; 3 * padded * frame];
        for (index, plane) in values.chunks_exact_mut(frame.max(1)).enumerate() {
            let (channel, time) = (index / padded, index % padded);
            let source = time.saturating_sub(before).min(self.n_frames - 1);
            let pixels = self.pixels[source * frame * 3..][..frame * 3].chunks_exact(3);
            for (value, pixel) in plane.iter_mut().zip(pixels) {
                *value = f32::from(pixel[channel]) / 255.0 * 2.0 - 1.0;
            }
        }
        Ok((Tensor::f32([1, 3, padded, self.height, self.width], values)?, before..before + self.n_frames))
    }

    /// Pixels of a decoded video `[1, 3, frames, height, width]`, of the frames in `keep`: `((x + 1) / 2)` clamped to 0..1,
    /// times 255, plus 0.5, truncated. `None` for another shape or type.
    pub fn from_tensor(video: &Tensor, keep: Range<usize>) -> Option<Self> {
        let (values, [n_frames, height, width]) = planes(video)?;
        let frame = height * width;
        let kept = n_frames.checked_sub(keep.start).map(|_| keep.end.min(n_frames).saturating_sub(keep.start))?;
        let mut pixels = vec![0_u8; kept * frame * 3];
        for (time, bytes) in keep.zip(pixels.chunks_exact_mut((frame * 3).max(1))) {
            for channel in 0..3 {
                let plane = &values[(channel * n_frames + time) * frame..][..frame];
                for (pixel, &value) in bytes.chunks_exact_mut(3).zip(plane) {
                    pixel[channel] = (unit(value) * 255.0 + 0.5) as u8;
                }
            }
        }
        Self::new(pixels, kept, height, width)
    }

    /// Every pixel's mean over the channels, in all three of them: how a decoded depth video is shown (specification section 4.5).
    #[must_use]
    pub fn grey(&self) -> Self {
        let grey = |pixel: &[u8]| {
            let mean = (pixel.iter().map(|&byte| f32::from(byte)).sum::<f32>() / 3.0) as u8;
            [mean; 3]
        };
        Self { pixels: self.pixels.chunks_exact(3).flat_map(grey).collect(), ..self.clone() }
    }
}

/// Depth in [0, 1], near is large, of a decoded depth video `[1, 3, frames, height, width]`: the mean over the channels,
/// `[frames, height, width]` for the frames in `keep`. `None` for another shape or type.
pub fn depth(video: &Tensor, keep: Range<usize>) -> Option<(Vec<f32>, [usize; 3])> {
    let (values, [n_frames, height, width]) = planes(video)?;
    let frame = height * width;
    let keep = keep.start..keep.end.min(n_frames);
    let shape = [keep.len(), height, width];
    let mut depth = Vec::with_capacity(keep.len() * frame);
    for time in keep {
        let plane = |channel: usize| &values[(channel * n_frames + time) * frame..][..frame];
        let (red, green, blue) = (plane(0), plane(1), plane(2));
        depth.extend((0..frame).map(|i| (unit(red[i]) + unit(green[i]) + unit(blue[i])) / 3.0));
    }
    Some((depth, shape))
}

fn planes(video: &Tensor) -> Option<(&[f32], [usize; 3])> {
    let [1, 3, n_frames, height, width] = *video.shape() else { return None };
    Some((video.as_f32()?, [n_frames, height, width]))
}

fn unit(value: f32) -> f32 {
    f32::midpoint(value, 1.0).clamp(0.0, 1.0)
}

/// Repeated frames before and after, as published.
fn padding(n_frames: usize) -> (usize, usize) {
    let excess = n_frames.saturating_sub(1) % TEMPORAL_ALIGNMENT;
    let missing = if excess == 0 { 0 } else { TEMPORAL_ALIGNMENT - excess };
    (missing / 2, missing - missing / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_of_16_gets_one_frame_at_the_end() {
        let pixels: Vec<u8> = (0..16).flat_map(|frame| [frame * 10; 2 * 2 * 3]).collect();
        let frames = Frames::new(pixels, 16, 2, 2).expect("16 x 2 x 2 x 3 bytes");
        let (tensor, own) = frames.to_tensor().expect("a tensor");
        assert_eq!((tensor.shape(), own.clone()), (&[1, 3, 17, 2, 2][..], 0..16));
        let values = tensor.as_f32().expect("floats");
        assert_eq!(values[16 * 4].to_bits(), values[15 * 4].to_bits());
        assert_eq!(values[0].to_bits(), (-1.0_f32).to_bits());
        assert_eq!(Frames::from_tensor(&tensor, own), Some(frames));
    }

    #[test]
    fn short_clips_are_padded_at_both_ends() {
        assert_eq!([1, 9, 16, 17, 12, 3].map(padding), [(0, 0), (0, 0), (0, 1), (0, 0), (2, 3), (3, 3)]);
    }

    #[test]
    fn depth_is_the_mean_of_the_channels() {
        let video = Tensor::f32([1, 3, 1, 1, 2], vec![-1.0, 1.0, 0.0, 1.0, 1.0, 9.0]).expect("6 values");
        let (values, shape) = depth(&video, 0..1).expect("a video");
        assert_eq!(shape, [1, 1, 2]);
        assert!((values[0] - 0.5).abs() < 1e-6 && (values[1] - 1.0).abs() < 1e-6);
        let frames = Frames::from_tensor(&video, 0..1).expect("a video").grey();
        assert_eq!(frames.pixels(), [127, 127, 127, 255, 255, 255]);
    }
}
