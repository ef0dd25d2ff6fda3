//! Gaze and camera recordings as clips for their tokenizers, the published way (specification sections 2.4 and 2.6).
//!
//! A dataset's [`DatasetConvention`] says how it keeps poses and gaze; the conversions themselves are `egom2p-motion`'s.
//! Recordings come at [`egom2p_motion::MOTION_FPS`] frames per second; nothing is resampled.

mod camera;
mod convention;
mod error;
mod gaze;
mod settings;
mod windows;

pub use camera::{CameraClips, CameraRecording};
pub use convention::{CameraConvention, DatasetConvention};
pub use error::PreparationError;
pub use gaze::{GazeClip, GazeRecording};
pub use settings::{PreparationSettings, Split};
pub use windows::{halves, windows};
