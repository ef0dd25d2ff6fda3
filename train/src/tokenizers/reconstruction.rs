use super::{Result, TokenizerError};
use tch::{Kind, Reduction, TchError, Tensor};

/// How far a decoded video is from the original.
///
/// The reports on the Cosmos tokenizers, whose architecture this is, train with the absolute difference first and add
/// perceptual terms, which need another trained network; here the absolute difference is all there is, and the default.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum VideoLoss {
    /// The mean absolute difference, which blurs edges less.
    #[default]
    Absolute,
    /// The mean squared difference.
    Squared,
}

impl VideoLoss {
    /// Its name in settings: `absolute` or `squared`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::Squared => "squared",
        }
    }

    /// The loss, an f32 scalar.
    pub fn of(self, decoded: &Tensor, video: &Tensor) -> Result<Tensor> {
        let loss = match self {
            Self::Absolute => decoded.f_l1_loss(video, Reduction::Mean),
            Self::Squared => decoded.f_mse_loss(video, Reduction::Mean),
        };
        loss.map_err(TokenizerError::operation("compare videos"))
    }
}

/// The mean squared error of camera trajectories, normalised, f32 `[batch, samples, 9]` (specification section 2.3).
pub fn mean_squared_error(decoded: &Tensor, camera: &Tensor) -> Result<Tensor> {
    decoded.f_mse_loss(camera, Reduction::Mean).map_err(TokenizerError::operation("compare trajectories"))
}

/// The squared error of gaze (specification section 2.3): summed over both coordinates, meant over the valid samples; 0 where
/// none is. `decoded` is f32 `[batch, samples, 2]`, `gaze` `[batch, samples, 3]` with validity 0 or 1 last.
pub fn valid_squared_error(decoded: &Tensor, gaze: &Tensor) -> Result<Tensor> {
    let error = || -> Result<Tensor, TchError> {
        let (place, valid) = (gaze.f_narrow(2, 0, 2)?, gaze.f_narrow(2, 2, 1)?);
        let squares = decoded.f_sub(&place)?.f_square()?.f_mul(&valid)?.f_sum(Kind::Float)?;
        squares.f_div(&valid.f_sum(Kind::Float)?.f_clamp_min(1.0)?)
    };
    error().map_err(TokenizerError::operation("compare gaze"))
}
