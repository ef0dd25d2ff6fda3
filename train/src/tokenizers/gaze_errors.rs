use super::{Result, TokenizerError};
use tch::{Kind, TchError, Tensor};

/// How gaze differs on valid samples, over any number of batches (specification section 4.5).
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct GazeErrors {
    squares: f64,
    absolutes: f64,
    n_valid: u64,
}

impl GazeErrors {
    /// Counts a batch: `decoded` f32 `[batch, samples, 2]`, `gaze` f32 `[batch, samples, 3]` with validity last.
    pub fn add(&mut self, decoded: &Tensor, gaze: &Tensor) -> Result<()> {
        let [batch, samples, 3] = gaze.size()[..] else {
            let expected = "[batch, samples, 3]".to_owned();
            return Err(TokenizerError::Shape { what: "gaze", expected, actual: gaze.size() });
        };
        if decoded.size() != [batch, samples, 2] {
            let expected = format!("[{batch}, {samples}, 2]");
            return Err(TokenizerError::Shape { what: "decoded gaze", expected, actual: decoded.size() });
        }
        let _no_gradient = tch::no_grad_guard();
        let errors = || -> Result<(f64, f64, f64), TchError> {
            let valid = gaze.f_narrow(2, 2, 1)?;
            let apart = decoded.f_sub(&gaze.f_narrow(2, 0, 2)?)?.f_mul(&valid)?;
            let sum = |tensor: Tensor| tensor.f_sum(Kind::Double)?.f_double_value(&[]);
            Ok((sum(apart.f_square()?)?, sum(apart.f_abs()?)?, sum(valid)?))
        };
        let (squares, absolutes, n_valid) = errors().map_err(TokenizerError::operation("compare gaze"))?;
        self.squares += squares;
        self.absolutes += absolutes;
        self.n_valid += n_valid as u64;
        Ok(())
    }

    /// The mean squared error of a coordinate, in `[-1, 1]` units; not a number without a valid sample.
    pub fn mean_squared(&self) -> f64 {
        self.squares / (2 * self.n_valid) as f64
    }

    /// The mean absolute error of a coordinate, in `[-1, 1]` units; not a number without a valid sample.
    pub fn mean_absolute(&self) -> f64 {
        self.absolutes / (2 * self.n_valid) as f64
    }
}
