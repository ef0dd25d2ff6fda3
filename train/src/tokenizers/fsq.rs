use super::{Result, TokenizerError};
use tch::{Device, Kind, TchError, Tensor};

/// Finite scalar quantisation with a gradient (specification section 3.3): every channel is bounded to its number of levels and
/// rounded, and the rounding passes gradients on as they are.
#[derive(Debug)]
pub struct FiniteScalarQuantizer {
    n_channels: i64,
    /// Half the range of a channel, `[levels, 1, 1, 1]` as the others.
    half: Tensor,
    /// Half a step, where the number of levels is even.
    offset: Tensor,
    /// What makes a latent of 0 bounded to 0.
    shift: Tensor,
    /// Steps from 0 to the lowest level, which is code -1.
    half_width: Tensor,
    /// What a digit counts in a token.
    place: Tensor,
}

/// Latents quantised for training.
#[derive(Debug)]
pub struct FsqQuantized {
    /// Codes in `[-1, 1]`, f32 `[batch, levels, t, h, w]`, with the gradient of the values before rounding.
    pub codes: Tensor,
    /// Token ids, i64 `[batch, t, h, w]`.
    pub tokens: Tensor,
}

impl FiniteScalarQuantizer {
    /// A quantiser for channels with these numbers of levels, each at least 2.
    pub fn new(levels: &[usize], device: Device) -> Result<Self> {
        if let Some(&level) = levels.iter().find(|&&level| level < 2) {
            let (value, expected) = (level.to_string(), "at least 2 in every channel".to_owned());
            return Err(TokenizerError::Setting { name: "levels", value, expected });
        }
        // In single precision, as the engines compute it.
        let half: Vec<f32> = levels.iter().map(|&level| (level - 1) as f32 * 1.001 / 2.0).collect();
        let offset: Vec<f32> = levels.iter().map(|level| if level.is_multiple_of(2) { 0.5 } else { 0.0 }).collect();
        let shift = offset.iter().zip(&half).map(|(offset, half)| f64::from(offset / half).atanh() as f32);
        let shift: Vec<f32> = shift.collect();
        let half_width: Vec<f32> = levels.iter().map(|&level| (level / 2) as f32).collect();
        let places = levels.iter().scan(1, |next, &level| Some(std::mem::replace(next, *next * level as i64)));
        let places: Vec<i64> = places.collect();
        let column = |tensor: Tensor| tensor.f_reshape([-1, 1, 1, 1])?.f_to_device(device);
        let build = || -> Result<Self, TchError> {
            Ok(Self {
                n_channels: levels.len() as i64,
                half: column(Tensor::f_from_slice(&half)?)?,
                offset: column(Tensor::f_from_slice(&offset)?)?,
                shift: column(Tensor::f_from_slice(&shift)?)?,
                half_width: column(Tensor::f_from_slice(&half_width)?)?,
                place: column(Tensor::f_from_slice(&places)?)?,
            })
        };
        build().map_err(TokenizerError::operation("make a quantiser"))
    }

    /// Quantises `latents` f32 `[batch, levels, t, h, w]`.
    pub fn quantize(&self, latents: &Tensor) -> Result<FsqQuantized> {
        let actual = latents.size();
        if actual.len() != 5 || actual[1] != self.n_channels {
            let expected = format!("[batch, {}, t, h, w]", self.n_channels);
            return Err(TokenizerError::Shape { what: "latents", expected, actual });
        }
        let quantize = || -> Result<FsqQuantized, TchError> {
            let bounded = latents.f_add(&self.shift)?.f_tanh()?.f_mul(&self.half)?.f_sub(&self.offset)?;
            let rounded = bounded.f_detach()?.f_round()?;
            let digits = rounded.f_nan_to_num(0.0, None, None)?.f_add(&self.half_width)?.f_to_kind(Kind::Int64)?;
            let tokens = digits.f_mul(&self.place)?.f_sum_dim_intlist(&[1_i64][..], false, Kind::Int64)?;
            let straight = bounded.f_add(&rounded.f_sub(&bounded)?.f_detach()?)?;
            Ok(FsqQuantized { codes: straight.f_div(&self.half_width)?, tokens })
        };
        quantize().map_err(TokenizerError::operation("quantise latents"))
    }
}
