use serde_json::{Value, json};

use crate::camera::{Camera, FIELD_OF_VIEW_DEGREES};
use crate::settings::Settings;
use crate::timeline::{FRAMES_PER_SECOND, SAMPLES_PER_SECOND};

/// What a folder of datasets says about itself: its settings, and what its arrays mean. It grows with the format, so that
/// a folder of another version is another folder.
const FORMAT: &str = "egom2p-synth-1";

/// The text of the manifest, which follows from the settings.
pub(crate) fn manifest(settings: &Settings) -> serde_json::Result<String> {
    let camera = Camera::new(settings.width, settings.height);
    let manifest: Value = json!({
        "format": FORMAT,
        "settings": serde_json::to_value(settings)?,
        "files": "SPLIT/DATASET/MODALITY/CLIP.npz, SPLIT is train or val, MODALITY rgb, depth, cam or gaze",
        "time": {
            "frames_per_second": FRAMES_PER_SECOND,
            "samples_per_second": SAMPLES_PER_SECOND,
            "start": "frame 0 and sample 0 are taken at the same time",
        },
        "camera": {
            "model": "pinhole without distortion, square pixels, optical axis through the middle of the picture",
            "field_of_view_degrees": FIELD_OF_VIEW_DEGREES,
            "focal_pixels": camera.focal,
            "pixels": "continuous coordinates, the middle of column j and row i is (j + 0.5, i + 0.5)",
        },
        "arrays": {
            "rgb": { "arr_0": "u8 [frames, height, width, 3], sRGB values" },
            "depth": {
                "arr_0": "u8 [frames, height, width], floor(255 (1/d - low) / (high - low)): near is bright",
                "metres": "f32 [frames, height, width], along the optical axis, at the middle of each pixel",
                "inverse_range": "f64 [2], low and high: the least and greatest 1/d of the clip",
            },
            "cam": {
                "arr_0": "f64 [samples, 4, 4], camera to world, metres, camera axes x right, y down, z forward (OpenCV)",
                "frame_poses": "f64 [frames, 4, 4], the same at the times of the frames",
            },
            "gaze": { "arr_0": "f64 [samples, 2], pixel coordinates x and y, NaN where invalid" },
        },
    });
    let mut text = serde_json::to_string_pretty(&manifest)?;
    text.push('\n');
    Ok(text)
}
