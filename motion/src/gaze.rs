use super::MotionError;
use serde::{Deserialize, Serialize};

/// Channels of a decoded gaze frame: x and y.
pub const GAZE_CHANNELS: usize = 2;
/// Channels of a gaze frame that the tokenizer takes: x, y and whether they are valid.
pub const GAZE_INPUT_CHANNELS: usize = 3;

/// Coordinates further out than this (in widths or heights of the crop) make a frame invalid.
const MARGIN: f64 = 0.2;

/// How the crop that the model sees lies in the image that gaze was recorded on; `[width, height]` in pixels.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GazeGeometry {
    /// The image of the gaze coordinates.
    pub original: [f64; 2],
    /// The image after resizing.
    pub resized: [f64; 2],
    /// The centre crop of the resized image.
    pub crop: [f64; 2],
}

/// One frame of gaze as the tokenizer takes it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GazeSample {
    /// x and y in [-1, 1] over the crop; -1 where invalid.
    pub position: [f64; 2],
    /// Whether the frame counts.
    pub valid: bool,
}

impl GazeGeometry {
    /// `HoloAssist`: 896 x 504 with the middle 480 x 480 kept.
    pub const HOLO_ASSIST: Self = Self { original: [896.0, 504.0], resized: [896.0, 504.0], crop: [480.0, 480.0] };

    /// `EgoExo4D` and HOT3D (Project Aria): 1408 x 1408, nothing cropped.
    pub const ARIA: Self = Self::whole(1408.0, 1408.0);

    /// An image that is neither resized nor cropped; `whole(1.0, 1.0)` takes coordinates in [0, 1].
    pub const fn whole(width: f64, height: f64) -> Self {
        Self { original: [width, height], resized: [width, height], crop: [width, height] }
    }

    /// Gaze in pixels, `[frames, 2]` with NaN where it is missing, as the tokenizer takes it (specification
    /// section 2.6). Fails for a resolution that is not positive.
    pub fn normalise(&self, pixels: &[[f64; 2]]) -> Result<Vec<GazeSample>, MotionError> {
        for [width, height] in [self.original, self.resized, self.crop] {
            if !(width.is_finite() && height.is_finite() && width > 0.0 && height > 0.0) {
                return Err(MotionError::Resolution { width, height });
            }
        }
        Ok(pixels.iter().map(|pixel| self.sample(*pixel)).collect())
    }

    fn sample(&self, pixel: [f64; 2]) -> GazeSample {
        let crop: [f64; 2] = std::array::from_fn(|i| {
            let resized = pixel[i] / self.original[i] * self.resized[i];
            (resized - (self.resized[i] - self.crop[i]) / 2.0) / self.crop[i]
        });
        let valid = crop.iter().all(|value| (-MARGIN..=1.0 + MARGIN).contains(value));
        GazeSample { position: crop.map(|value| (if valid { value } else { 0.0 } - 0.5) / 0.5), valid }
    }
}

/// The gaze tokenizer's input, `[frames, 3]`: x, y and 1 or 0 for valid.
pub fn normalise_gaze(samples: &[GazeSample]) -> Vec<f32> {
    let frame = |sample: &GazeSample| {
        [sample.position[0] as f32, sample.position[1] as f32, if sample.valid { 1.0 } else { 0.0 }]
    };
    samples.iter().flat_map(frame).collect()
}

/// x and y over the crop, in [0, 1] inside it, of what the gaze decoder gives, `[frames, 2]`, in the published fp32
/// arithmetic. All decoded frames count as valid.
pub fn denormalise_gaze(decoded: &[f32]) -> Result<Vec<[f32; GAZE_CHANNELS]>, MotionError> {
    let (frames, rest) = decoded.as_chunks::<GAZE_CHANNELS>();
    if !rest.is_empty() {
        return Err(MotionError::Shape { n_values: decoded.len(), n_channels: GAZE_CHANNELS });
    }
    if let Some(frame) = frames.iter().position(|frame| !frame.iter().all(|value| value.is_finite())) {
        return Err(MotionError::NotFinite { frame });
    }
    Ok(frames.iter().map(|frame| frame.map(|value| 0.5 * value + 0.5)).collect())
}

#[cfg(test)]
mod tests {
    use super::{GazeGeometry, GazeSample, denormalise_gaze, normalise_gaze};
    use crate::MotionError;

    #[test]
    fn invalid_frames_are_marked() {
        let unit = GazeGeometry::whole(1.0, 1.0);
        let pixels = [[0.5, 0.5], [1.2, -0.2], [1.21, 0.5], [0.5, -0.21], [f64::NAN, 0.5], [f64::INFINITY, 0.0]];
        let samples = unit.normalise(&pixels).expect("a resolution");
        let valid: Vec<bool> = samples.iter().map(|sample| sample.valid).collect();
        assert_eq!(valid, [true, true, false, false, false, false]);
        assert_eq!(samples[4], GazeSample { position: [-1.0, -1.0], valid: false });
        assert_eq!(normalise_gaze(&samples[..1]), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn hostile_values_are_errors() {
        let flat = GazeGeometry { crop: [0.0, 480.0], ..GazeGeometry::HOLO_ASSIST };
        assert_eq!(flat.normalise(&[]), Err(MotionError::Resolution { width: 0.0, height: 480.0 }));
        assert_eq!(denormalise_gaze(&[0.0; 3]), Err(MotionError::Shape { n_values: 3, n_channels: 2 }));
        assert_eq!(denormalise_gaze(&[0.0, 0.0, f32::NAN, 0.0]), Err(MotionError::NotFinite { frame: 1 }));
    }
}
