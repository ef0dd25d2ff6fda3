//! Finite scalar quantisation (specification section 3.3).

use super::Operands;
use tch::{Kind, TchError, Tensor};

/// The index of every place. Bounding is done in single precision, as in the published code.
pub(super) fn quantize(operands: &Operands<'_>, levels: &[usize]) -> Result<Tensor, TchError> {
    let x = operands.inputs[0];
    let mut tokens = Tensor::f_zeros(operands.shape, (Kind::Int64, x.device()))?;
    let mut place = 1_i64;
    for (channel, &count) in levels.iter().enumerate() {
        let half = (count - 1) as f32 * 1.001 / 2.0;
        let offset: f32 = if count.is_multiple_of(2) { 0.5 } else { 0.0 };
        let shift = f64::from(offset / half).atanh() as f32;
        let latent = x.f_select(1, channel as i64)?;
        let bounded = latent.f_add_scalar(f64::from(shift))?.f_tanh()?.f_mul_scalar(f64::from(half))?;
        let rounded = bounded.f_sub_scalar(f64::from(offset))?.f_round()?;
        // A latent that is not a number falls in the middle.
        let digit = rounded.f_nan_to_num(0.0, None, None)?.f_to_kind(Kind::Int64)?.f_add_scalar((count / 2) as i64)?;
        tokens = tokens.f_add(&digit.f_mul_scalar(place)?)?;
        place *= count as i64;
    }
    Ok(tokens)
}

/// The codes of indices, which are checked.
pub(super) fn dequantize(operands: &Operands<'_>, levels: &[usize]) -> Result<Tensor, TchError> {
    let tokens = operands.inputs[0];
    check(tokens, levels.iter().product::<usize>() as i64)?;
    let mut rest = tokens.shallow_clone();
    let mut channels = Vec::with_capacity(levels.len());
    for &count in levels {
        let half_width = (count / 2) as f64;
        let digit = rest.f_remainder(count as i64)?.f_to_kind(Kind::Float)?;
        channels.push(digit.f_sub_scalar(half_width)?.f_div_scalar(half_width)?);
        rest = rest.f_divide_scalar_mode(count as i64, "floor")?;
    }
    Tensor::f_stack(&channels, 1)
}

fn check(tokens: &Tensor, n_codes: i64) -> Result<(), TchError> {
    if tokens.numel() == 0 {
        return Ok(());
    }
    for id in [tokens.f_min()?, tokens.f_max()?] {
        let id = i64::try_from(&id)?;
        if !(0..n_codes).contains(&id) {
            return Err(TchError::Torch(format!("id {id} is not below {n_codes}")));
        }
    }
    Ok(())
}
