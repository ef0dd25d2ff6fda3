use super::{Result, TokenizerError};
use tch::{Kind, TchError, Tensor};

/// The smallest length that a rotation's column is divided by (specification section 2.5).
const SMALLEST_LENGTH: f64 = 1e-12;

/// How camera trajectories differ, over any number of batches (specification section 4.5).
#[derive(Clone, Debug)]
pub struct CameraErrors {
    mean: [f64; 9],
    deviation: [f64; 9],
    angles: f64,
    translations: f64,
    n_poses: u64,
}

impl CameraErrors {
    /// Errors of trajectories that were normalised with this mean and standard deviation.
    pub fn new(mean: [f64; 9], deviation: [f64; 9]) -> Self {
        Self { mean, deviation, angles: 0.0, translations: 0.0, n_poses: 0 }
    }

    /// Counts a batch: both f32 `[batch, samples, 9]`, normalised.
    pub fn add(&mut self, decoded: &Tensor, camera: &Tensor) -> Result<()> {
        if decoded.size() != camera.size() || camera.size().len() != 3 || camera.size()[2] != 9 {
            let expected = format!("[batch, samples, 9] as {:?}", camera.size());
            return Err(TokenizerError::Shape { what: "decoded trajectories", expected, actual: decoded.size() });
        }
        let _no_gradient = tch::no_grad_guard();
        let errors = || -> Result<(f64, f64), TchError> {
            let (decoded, camera) = (self.metric(decoded)?, self.metric(camera)?);
            let products = rotation(&decoded)?.f_mul(&rotation(&camera)?)?;
            let cosines =
                products.f_sum_dim_intlist(&[-1_i64][..], false, Kind::Double)?.f_sub_scalar(1.0)?.f_div_scalar(2.0)?;
            let angles = cosines.f_clamp(-1.0, 1.0)?.f_acos()?.f_sum(Kind::Double)?.f_double_value(&[])?;
            let apart = decoded.f_narrow(-1, 6, 3)?.f_sub(&camera.f_narrow(-1, 6, 3)?)?.f_abs()?;
            Ok((angles, apart.f_sum(Kind::Double)?.f_double_value(&[])? / 3.0))
        };
        let (angles, translations) = errors().map_err(TokenizerError::operation("compare trajectories"))?;
        self.angles += angles;
        self.translations += translations;
        self.n_poses += (camera.size()[0] * camera.size()[1]) as u64;
        Ok(())
    }

    /// The mean angle between rotations, in radians; not a number before anything was counted.
    pub fn rotation_radians(&self) -> f64 {
        self.angles / self.n_poses as f64
    }

    /// The mean absolute error of a coordinate of the translation, in the unit of the trajectories, which is metres.
    pub fn translation_metres(&self) -> f64 {
        self.translations / self.n_poses as f64
    }

    /// Nine values a pose as they were before they were normalised, f64.
    fn metric(&self, normalised: &Tensor) -> Result<Tensor, TchError> {
        let row = |values: &[f64]| Tensor::f_from_slice(values)?.f_to_device(normalised.device());
        normalised.f_to_kind(Kind::Double)?.f_mul(&row(&self.deviation)?)?.f_add(&row(&self.mean)?)
    }
}

/// The nine values of the rotation whose first two columns lead a pose, column after column.
fn rotation(poses: &Tensor) -> Result<Tensor, TchError> {
    let unit = |column: &Tensor| {
        column.f_div(&column.f_norm_scalaropt_dim(2.0, [-1_i64], true)?.f_clamp_min(SMALLEST_LENGTH)?)
    };
    let first = unit(&poses.f_narrow(-1, 0, 3)?)?;
    let second = poses.f_narrow(-1, 3, 3)?;
    let along = second.f_mul(&first)?.f_sum_dim_intlist(&[-1_i64][..], true, Kind::Double)?;
    let second = unit(&second.f_sub(&first.f_mul(&along)?)?)?;
    let third = first.f_linalg_cross(&second, -1)?;
    Tensor::f_cat(&[first, second, third], -1)
}
