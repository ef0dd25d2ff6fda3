//! How far predictions are from what a clip really holds, beside naive predictions and beside what tokens can say at all.
//!
//! All measures are means over a clip, and tables hold means over clips.
//!
//! - **Camera**: [`egom2p_motion::trajectory_errors`] of poses relative to the clip's first one. The naive prediction is a
//!   camera that does not move.
//! - **Depth**: the depth video is inverse depth, stretched over the clip's own range (specification section 3.6), so that
//!   its values alone are no distances and vanish where it is farthest; a relative error of them means nothing. They are
//!   brought back to metres by the clip's range, `1 / (low + v (high - low))`, which predictions, tokens and naive
//!   predictions are given alike, and compared there: [`DepthErrors`]. Because a range is more than a scale and a shift that
//!   are fitted, the relative error after such a fit of inverse depth, as is customary for relative depth, stands beside
//!   it. The naive prediction is the mean video of the training clips, or its mean value.
//! - **Gaze**: [`GazeErrors`] in the coordinates of the crop, over the valid samples. The naive prediction is the mean gaze
//!   of the training clips.
//! - **Pictures**: [`VideoErrors`] of pixel values, for depth and colour.

mod baselines;
mod depth;
mod error;
mod gaze;
mod mean;
mod measure;
mod table;
mod video;

pub use baselines::{Baselines, TrainingMeans};
pub use depth::{DepthErrors, DepthTruth};
pub use error::EvaluationError;
pub use gaze::{GazeErrors, GazeTruth};
pub use mean::Mean;
pub use measure::{Measure, Source};
pub use table::ErrorTable;
pub use video::{MAX_PSNR, VideoErrors, video_errors};
