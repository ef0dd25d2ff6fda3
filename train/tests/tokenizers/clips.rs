//! Smooth trajectories to learn from.

use egom2p_model::{Modality, ModelConfig, MotionTokenizerConfig, Preset};
use tch::Tensor;

/// Mean and standard deviation of the nine camera values (specification section 2.4).
pub(crate) const CAMERA_MEAN: [f64; 9] = [
    0.933_050_397_651_190_8,
    0.004_411_310_479_848_365,
    -0.004_745_505_205_447_648,
    -0.004_031_105_018_382_311,
    0.967_022_174_540_466_9,
    0.012_297_440_568_496_61,
    0.002_536_698_180_985_223_8,
    -0.002_534_521_133_857_395,
    0.036_870_884_698_846_94,
];
pub(crate) const CAMERA_DEVIATION: [f64; 9] = [
    0.224_102_829_414_246_92,
    0.154_095_948_547_892_94,
    0.235_387_622_724_455_3,
    0.151_592_393_482_513,
    0.098_908_544_986_710_52,
    0.178_710_605_214_565_42,
    0.162_297_496_986_973_32,
    0.113_059_945_703_106_35,
    0.224_501_556_139_209_86,
];

/// Samples of a clip.
const SAMPLES: usize = 60;

/// A model whose motion tokenizers learn in seconds.
pub(crate) fn config() -> ModelConfig {
    let mut config = Preset::Tiny.config();
    let motion = MotionTokenizerConfig { dim: 32, heads: 2, blocks: 1, mlp_hidden: 64, code_dim: 8 };
    config.motion.vocabulary = 64;
    (config.camera_tokenizer, config.gaze_tokenizer) = (Some(motion), Some(motion));
    config
}

/// Clips number `first` and following of an endless set: f32 `[n, 60, 9]` of camera, normalised, or `[n, 60, 3]` of gaze.
pub(crate) fn clips(modality: Modality, first: usize, n: usize) -> Tensor {
    let values: Vec<f32> = (first..first + n)
        .flat_map(|clip| (0..SAMPLES).flat_map(move |sample| row(modality, clip, sample)))
        .map(|value| value as f32)
        .collect();
    Tensor::from_slice(&values).reshape([n as i64, SAMPLES as i64, -1])
}

fn row(modality: Modality, clip: usize, sample: usize) -> Vec<f64> {
    // Numbers in [-1, 1) that fill the cube of their indices evenly.
    let drawn =
        |index: usize| 2.0 * ((clip as f64 + 1.0) * ((index + 2) as f64).sqrt() * 1.618_033_988_7).fract() - 1.0;
    let time = sample as f64 / SAMPLES as f64;
    // A curve that begins at 0 where the camera's first pose is.
    let curve = |index: usize| {
        let (speed, size, phase) = (1.5 + drawn(index), drawn(index + 20), 3.0 * drawn(index + 40));
        size * ((speed * 2.0 * time + phase).sin() - phase.sin())
    };
    if modality == Modality::Camera {
        let (yaw, pitch) = (0.6 * curve(0), 0.4 * curve(1));
        let ((sy, cy), (sp, cp)) = (yaw.sin_cos(), pitch.sin_cos());
        let pose = [cy, 0.0, -sy, sy * sp, cp, cy * sp, 0.3 * curve(2), 0.2 * curve(3), 0.4 * curve(4)];
        let normalised = pose.iter().zip(CAMERA_MEAN).zip(CAMERA_DEVIATION);
        normalised.map(|((value, mean), deviation)| (value - mean) / deviation).collect()
    } else {
        let blinks = (sample + 7 * clip) % 23 < 3;
        if blinks {
            vec![-1.0, -1.0, 0.0]
        } else {
            vec![0.4 * drawn(5) + 0.5 * curve(6), 0.4 * drawn(7) + 0.5 * curve(8), 1.0]
        }
    }
}
