use crate::clip::Clip;

/// Depth as the model sees it: grey video, near is bright.
///
/// The published pipeline stretches a clip's depth prediction from its least to its greatest value over 0 to 255,
/// truncated, and its examples are bright where things are near (specification section 3.6), which is how inverse depth
/// behaves. How metric depth was turned into that is not published. Here: `v = floor(255 (1/d - least) / (greatest -
/// least))` over the inverse depths of the whole clip.
#[derive(Clone, PartialEq, Debug)]
pub struct DepthVideo {
    /// `[frames, height, width]`, row-major; the model takes it three times as red, green and blue.
    pub values: Vec<u8>,
    /// The least and the greatest inverse depth of the clip in 1/m: values 0 and 255.
    pub inverse_range: [f64; 2],
}

impl DepthVideo {
    /// The video of a clip.
    pub fn new(clip: &Clip) -> Self {
        Self::of(&clip.depth)
    }

    /// The video of these depths in metres, all positive.
    fn of(depth: &[f32]) -> Self {
        let inverse = |metres: &f32| 1.0 / f64::from(*metres);
        let (least, greatest) = depth
            .iter()
            .map(inverse)
            .fold((f64::INFINITY, 0.0_f64), |(least, greatest), value| (least.min(value), greatest.max(value)));
        // A clip of one single depth is black.
        let scale = if greatest > least { 255.0 / (greatest - least) } else { 0.0 };
        let values = depth.iter().map(|metres| ((inverse(metres) - least) * scale) as u8).collect();
        Self { values, inverse_range: [least, greatest] }
    }
}

#[cfg(test)]
mod tests {
    use super::DepthVideo;

    #[test]
    fn near_is_bright() {
        // Inverse depths 2, 1, 0.5, 0.25: (1 - 0.25) / 1.75 * 255 = 109.3, (0.5 - 0.25) / 1.75 * 255 = 36.4.
        let video = DepthVideo::of(&[0.5, 1.0, 2.0, 4.0]);
        assert_eq!(video.values, [255, 109, 36, 0]);
        assert!((video.inverse_range[0] - 0.25).abs() < 1e-12 && (video.inverse_range[1] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_single_depth_is_black() {
        assert_eq!(DepthVideo::of(&[2.0, 2.0]).values, [0, 0]);
    }
}
