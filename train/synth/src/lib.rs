//! Synthetic egocentric data: furnished rooms seen from a moving head, with exact depth, camera poses and gaze.
//!
//! It stands in for rendered datasets such as the published ones. Clip `i` of a split of a dataset follows from the seed, the dataset's
//! name, the split and `i` alone, so any amount can be made in any order and by any number of processes. The same build on
//! the same machine gives the same bytes; sines and logarithms of another platform's library may differ in a last bit.
//!
//! - **Pictures**: a ray caster over rooms, boxes, balls and cylinders with procedural textures, a lamp with shadows
//!   ([`Clip`]); or bare dark rooms by the light of a headlamp ([`Rooms`]). The field of view is fixed, so that motion in
//!   the picture tells the camera's motion.
//! - **Head**: walks along arcs at 0.5 to 1.35 m/s with bob and sway, or stands; turns towards things.
//! - **Gaze**: mostly on the most salient thing in sight (red before other colours, what swings before all, near before
//!   far), in fixations with saccades between; smooth pursuit of what swings; noise and gaps.
//! - **Files**: [`write_dataset`].

mod camera;
mod clip;
mod dark;
mod dataset_folder;
mod depth_video;
mod error;
mod furnish;
mod gaze;
mod head;
mod lamp;
mod manifest;
mod npz;
mod palette;
mod pose;
mod random;
mod render;
mod scene;
mod settings;
mod shade;
mod solid;
mod surface;
mod timeline;
mod vector;

pub use camera::{Camera, FIELD_OF_VIEW_DEGREES};
pub use clip::Clip;
pub use dataset_folder::{MANIFEST_FILE, Progress, write_dataset};
pub use depth_video::DepthVideo;
pub use error::{Result, SynthError};
pub use settings::{DatasetSettings, GazeSettings, Rooms, Settings, Split};
pub use timeline::{FRAMES_PER_SECOND, SAMPLES_PER_SECOND};
