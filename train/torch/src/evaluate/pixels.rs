//! Convolution, normalisation and changes of resolution of videos `[batch, channels, frames, height, width]`.

use super::Operands;
use egom2p_graph::Padding;
use tch::{TchError, Tensor};

/// Normalises every frame over its channels and pixels.
pub(super) fn frame_norm(operands: &Operands<'_>, epsilon: f32) -> Result<Tensor, TchError> {
    let [x, weight, bias] = [0, 1, 2].map(|index| operands.inputs[index]);
    let (batch, channels, frames, height, width) = x.size5()?;
    let merged = x.f_transpose(1, 2)?.f_reshape([batch * frames, channels, height, width])?;
    let normal = merged.f_group_norm(1, Some(weight), Some(bias), f64::from(epsilon), false)?;
    normal.f_reshape([batch, frames, channels, height, width])?.f_transpose(1, 2)
}

/// A convolution that repeats the first frame in front and pads space with zeros.
pub(super) fn causal_conv(operands: &Operands<'_>, stride: usize, padding: Padding) -> Result<Tensor, TchError> {
    let [x, weight, bias] = [0, 1, 2].map(|index| operands.inputs[index]);
    let x = first_frame_repeated(x, weight.size5()?.2 - 1)?;
    let Padding { before, after } = padding;
    let (before, after) = (before as i64, after as i64);
    let (stride, dilation) = ([1, stride as i64, stride as i64], [1_i64, 1, 1]);
    if before == after {
        return x.f_conv3d(weight, Some(bias), stride, [0, before, before], dilation, 1);
    }
    let padded = x.f_constant_pad_nd([before, after, before, after])?;
    padded.f_conv3d(weight, Some(bias), stride, [0_i64, 0, 0], dilation, 1)
}

/// The mean of every 2 x 2 block of pixels. libtorch has no pooling of halves in three dimensions on processors.
pub(super) fn average_pool(operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let x = operands.inputs[0];
    let (batch, channels, frames, height, width) = x.size5()?;
    let merged = x.f_reshape([batch * channels, frames, height, width])?;
    let block: &[i64] = &[2, 2];
    merged.f_avg_pool2d(block, block, [0_i64, 0], false, false, None)?.f_reshape(operands.shape)
}

/// Every pixel twice in height and in width.
pub(super) fn upsample_nearest(operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let tall = operands.inputs[0].f_repeat_interleave_self_int(2, 3, None)?;
    tall.f_repeat_interleave_self_int(2, 4, None)
}

/// `n_more` copies of the first frame, and then all frames.
pub(super) fn first_frame_repeated(x: &Tensor, n_more: i64) -> Result<Tensor, TchError> {
    if n_more == 0 {
        return Ok(x.shallow_clone());
    }
    let first = x.f_narrow(2, 0, 1)?.f_expand([-1, -1, n_more, -1, -1], false)?;
    Tensor::f_cat(&[&first, x], 2)
}
