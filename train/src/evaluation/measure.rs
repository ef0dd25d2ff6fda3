use super::{DepthErrors, GazeErrors, VideoErrors};
use egom2p_model::Modality;
use egom2p_motion::TrajectoryErrors;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Measure {
    /// Absolute trajectory error in metres.
    Ate,
    /// Relative translation error in metres.
    Rte,
    /// Relative rotation error in degrees.
    Rre,
    /// Relative error of depth by the clip's range.
    AbsRel,
    /// Error of depth in metres.
    DepthRmse,
    /// Share of pixels with the right depth.
    Delta1,
    /// Relative error of depth after a fit of scale and shift.
    AlignedAbsRel,
    /// Squared error of gaze in crop coordinates.
    GazeMse,
    /// Magnitude of the error of gaze in crop coordinates.
    GazeMae,
    /// Squared error of gaze in pixels.
    GazeMsePixels,
    /// Magnitude of the error of gaze in pixels.
    GazeMaePixels,
    /// Magnitude of the error of pixel values.
    L1,
    /// Peak signal-to-noise ratio of pixel values in decibels.
    Psnr,
}

/// What is measured against the truth: a row of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// The truth itself after its tokenizer and back: no prediction can be better than its tokens.
    Quantisation,
    /// The model's prediction.
    Prediction,
    /// A camera that stays where it is.
    ConstantPose,
    /// The mean depth video of the training clips.
    MeanDepth,
    /// The mean of all depth values of the training clips, at every pixel.
    MeanDepthValue,
    /// The mean gaze of the training clips.
    MeanGaze,
}

impl Measure {
    /// What is measured of a modality, the first one first of all.
    pub const fn of(modality: Modality) -> &'static [Self] {
        match modality {
            Modality::Camera => &[Self::Ate, Self::Rte, Self::Rre],
            Modality::Depth => {
                &[Self::AbsRel, Self::DepthRmse, Self::Delta1, Self::AlignedAbsRel, Self::L1, Self::Psnr]
            }
            Modality::Gaze => &[Self::GazeMse, Self::GazeMae, Self::GazeMsePixels, Self::GazeMaePixels],
            Modality::Rgb => &[Self::L1, Self::Psnr],
        }
    }

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ate => "ate_metres",
            Self::Rte => "rte_metres",
            Self::Rre => "rre_degrees",
            Self::AbsRel => "abs_rel",
            Self::DepthRmse => "rmse_metres",
            Self::Delta1 => "delta1",
            Self::AlignedAbsRel => "aligned_abs_rel",
            Self::GazeMse => "mse",
            Self::GazeMae => "mae",
            Self::GazeMsePixels => "mse_pixels",
            Self::GazeMaePixels => "mae_pixels",
            Self::L1 => "l1",
            Self::Psnr => "psnr_db",
        }
    }

    /// Its name over a column.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ate => "ATE, m",
            Self::Rte => "RTE, m",
            Self::Rre => "RRE, degrees",
            Self::AbsRel => "AbsRel",
            Self::DepthRmse => "RMSE, m",
            Self::Delta1 => "delta1",
            Self::AlignedAbsRel => "AbsRel, aligned",
            Self::GazeMse => "MSE",
            Self::GazeMae => "MAE",
            Self::GazeMsePixels => "MSE, pixels",
            Self::GazeMaePixels => "MAE, pixels",
            Self::L1 => "L1",
            Self::Psnr => "PSNR, dB",
        }
    }

    /// Whether it is 0 for the truth, so that ratios mean something.
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::Delta1 | Self::Psnr)
    }

    /// The measures of a trajectory.
    pub const fn trajectory(errors: &TrajectoryErrors) -> [(Self, f64); 3] {
        [(Self::Ate, errors.ate), (Self::Rte, errors.rte), (Self::Rre, errors.rre_degrees)]
    }

    /// The measures of depth.
    pub const fn depth(errors: &DepthErrors) -> [(Self, f64); 4] {
        [
            (Self::AbsRel, errors.abs_rel),
            (Self::DepthRmse, errors.rmse_metres),
            (Self::Delta1, errors.delta1),
            (Self::AlignedAbsRel, errors.aligned_abs_rel),
        ]
    }

    /// The measures of gaze.
    pub const fn gaze(errors: &GazeErrors) -> [(Self, f64); 4] {
        [
            (Self::GazeMse, errors.mse),
            (Self::GazeMae, errors.mae),
            (Self::GazeMsePixels, errors.mse_pixels),
            (Self::GazeMaePixels, errors.mae_pixels),
        ]
    }

    /// The measures of pictures.
    pub const fn video(errors: &VideoErrors) -> [(Self, f64); 2] {
        [(Self::L1, errors.l1), (Self::Psnr, errors.psnr)]
    }
}

impl Source {
    /// What a modality is compared with, in the order of a table's rows: the naive ones last.
    pub const fn of(modality: Modality) -> &'static [Self] {
        match modality {
            Modality::Camera => &[Self::Quantisation, Self::Prediction, Self::ConstantPose],
            Modality::Depth => &[Self::Quantisation, Self::Prediction, Self::MeanDepth, Self::MeanDepthValue],
            Modality::Gaze => &[Self::Quantisation, Self::Prediction, Self::MeanGaze],
            Modality::Rgb => &[Self::Quantisation],
        }
    }

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quantisation => "quantisation",
            Self::Prediction => "prediction",
            Self::ConstantPose => "constant_pose",
            Self::MeanDepth => "mean_depth",
            Self::MeanDepthValue => "mean_depth_value",
            Self::MeanGaze => "mean_gaze",
        }
    }

    /// Its name before a row.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quantisation => "quantisation",
            Self::Prediction => "prediction",
            Self::ConstantPose => "naive: constant pose",
            Self::MeanDepth => "naive: mean depth",
            Self::MeanDepthValue => "naive: one mean value",
            Self::MeanGaze => "naive: mean gaze",
        }
    }

    /// Whether it is what a prediction is to be better than.
    pub const fn is_naive(self) -> bool {
        !matches!(self, Self::Quantisation | Self::Prediction)
    }
}
