//! Camera and gaze between what people keep (poses, pixels) and what the tokenizers take and give (specification
//! sections 2.4 to 2.6 and 4.5).

mod camera;
mod error;
mod gaze;
mod metrics;
mod pose;
mod rotation;

pub use camera::{
    CAMERA_CHANNELS, CAMERA_MEAN, CAMERA_STD, CameraNormalisation, canonicalise, denormalise_camera, normalise_camera,
    world_from_camera,
};
pub use error::MotionError;
pub use gaze::{GAZE_CHANNELS, GAZE_INPUT_CHANNELS, GazeGeometry, GazeSample, denormalise_gaze, normalise_gaze};
pub use metrics::{TrajectoryErrors, trajectory_errors};
pub use pose::Pose;

/// Frames per second of camera and gaze clips.
pub const MOTION_FPS: f64 = 30.0;
