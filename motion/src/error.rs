/// A trajectory or gaze clip that cannot be converted.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum MotionError {
    /// The number of values is no whole number of frames.
    #[error("{n_values} values do not fill frames of {n_channels}\npass an array of shape [frames, {n_channels}]")]
    Shape {
        /// Number of values given.
        n_values: usize,
        /// Values per frame.
        n_channels: usize,
    },
    /// A clip without frames.
    #[error("the clip has no frames\npass at least one frame")]
    Empty,
    /// A value that is NaN or infinite.
    #[error("frame {frame} holds a value that is not finite\nleave out clips with gaps, or fill the gaps first")]
    NotFinite {
        /// Frame index.
        frame: usize,
    },
    /// The last row of a pose matrix is not `0 0 0 1`.
    #[error("the pose of frame {frame} does not end in the row 0 0 0 1\npass world-from-camera matrices, row-major")]
    LastRow {
        /// Frame index.
        frame: usize,
    },
    /// Rotation columns that span no plane, or a matrix without inverse.
    #[error(
        "the rotation of frame {frame} is degenerate\npass poses with a rotation matrix, or check the decoder's weights"
    )]
    Degenerate {
        /// Frame index.
        frame: usize,
    },
    /// Two trajectories that cannot be compared.
    #[error(
        "trajectories of {n_reference} and {n_predicted} frames cannot be compared\npass two trajectories of the same length, at least 2 frames"
    )]
    Lengths {
        /// Frames of the reference.
        n_reference: usize,
        /// Frames of the prediction.
        n_predicted: usize,
    },
    /// A resolution that is not positive.
    #[error("the gaze geometry has the resolution {width} x {height}\npass resolutions of at least 1 x 1 pixel")]
    Resolution {
        /// Width in pixels.
        width: f64,
        /// Height in pixels.
        height: f64,
    },
}
