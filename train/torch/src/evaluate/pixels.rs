//! Convolution, normalisation and changes of resolution of videos `[batch, channels, frames, height, width]`.
//!
//! Values are laid out with the channels of a pixel beside each other: libtorch's convolutions are fastest so, all frames can
//! be seen as pictures of one batch without a copy, and so can all pixels of a frame as one row.

use super::Operands;
use egom2p_graph::Padding;
use tch::{TchError, Tensor};

/// Normalises every frame over its channels and pixels. This is layer normalisation and not group normalisation, whose variance
/// libtorch computes as a difference of large sums where channels lie beside each other.
pub(super) fn frame_norm(operands: &Operands<'_>, epsilon: f32) -> Result<Tensor, TchError> {
    let [x, weight, bias] = [0, 1, 2].map(|index| operands.inputs[index]);
    let pixels = pixels_first(x)?;
    let frame = &pixels.size()[2..];
    let normal = pixels.f_layer_norm(frame, None::<Tensor>, None::<Tensor>, f64::from(epsilon), false)?;
    bias.f_addcmul(&normal, weight)?.f_permute([0, 4, 1, 2, 3])
}

/// A convolution that repeats the first frame in front and pads space with zeros.
pub(super) fn causal_conv(operands: &Operands<'_>, stride: usize, padding: Padding) -> Result<Tensor, TchError> {
    let [x, weight, bias] = [0, 1, 2].map(|index| operands.inputs[index]);
    let (_, _, frames, height, width) = weight.size5()?;
    let Padding { before, after } = padding;
    let (before, after) = (before as i64, after as i64);
    let stride = stride as i64;
    let is_padded = before > 0 || after > 0;
    if frames == 1 {
        return conv_over_space(operands, stride, [before, after]);
    }
    if height == 1 && width == 1 && stride == 1 && !is_padded {
        return conv_over_time(operands);
    }
    let x = first_frame_repeated(x, frames - 1)?;
    let padded = if is_padded { x.f_constant_pad_nd([before, after, before, after])? } else { x };
    padded.f_conv3d(weight, Some(bias), [1, stride, stride], [0_i64, 0, 0], [1_i64, 1, 1], 1)
}

/// A convolution of every frame by itself.
fn conv_over_space(operands: &Operands<'_>, stride: i64, [before, after]: [i64; 2]) -> Result<Tensor, TchError> {
    let [x, weight, bias] = [0, 1, 2].map(|index| operands.inputs[index]);
    let (x, weight) = (pictures(x)?, weight.f_squeeze_dim(2)?);
    let (x, padding) =
        if before == after { (x, before) } else { (x.f_constant_pad_nd([before, after, before, after])?, 0) };
    let y = x.f_conv2d(&weight, Some(bias), [stride, stride], [padding, padding], [1_i64, 1], 1)?;
    video(&y, operands.shape)
}

/// A convolution of every pixel by itself with those of earlier frames.
fn conv_over_time(operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let [x, weight, bias] = [0, 1, 2].map(|index| operands.inputs[index]);
    let x = pixels_first(x)?;
    let (n_more, first) = (weight.size()[2] - 1, x.f_narrow(1, 0, 1)?);
    let mut frames = vec![&first; n_more as usize];
    frames.push(&x);
    let rows = Tensor::f_cat(&frames, 1)?.f_flatten(2, 3)?.f_permute([0, 3, 1, 2])?;
    let y = rows.f_conv2d(&weight.f_squeeze_dim(4)?, Some(bias), [1_i64, 1], [0_i64, 0], [1_i64, 1], 1)?;
    y.f_unflatten(3, &operands.shape[3..])
}

/// The mean of every 2 x 2 block of pixels.
pub(super) fn average_pool(operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let block: &[i64] = &[2, 2];
    let means = pictures(operands.inputs[0])?.f_avg_pool2d(block, block, [0_i64, 0], false, false, None)?;
    video(&means, operands.shape)
}

/// Every pixel twice in height and in width.
pub(super) fn upsample_nearest(operands: &Operands<'_>) -> Result<Tensor, TchError> {
    let [height, width] = [operands.shape[3], operands.shape[4]];
    let larger = pictures(operands.inputs[0])?.f_upsample_nearest2d([height, width], None, None)?;
    video(&larger, operands.shape)
}

/// `n_more` copies of the first frame, and then all frames.
pub(super) fn first_frame_repeated(x: &Tensor, n_more: i64) -> Result<Tensor, TchError> {
    if n_more == 0 {
        return Ok(x.shallow_clone());
    }
    let first = x.f_narrow(2, 0, 1)?.f_expand([-1, -1, n_more, -1, -1], false)?;
    Tensor::f_cat(&[&first, x], 2)
}

/// A video as `[batch, frames, height, width, channels]`, laid out in this order; copied where it is not yet.
fn pixels_first(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 2, 3, 4, 1])?.f_contiguous()
}

/// A video's frames as pictures `[batch * frames, channels, height, width]`.
fn pictures(x: &Tensor) -> Result<Tensor, TchError> {
    pixels_first(x)?.f_flatten(0, 1)?.f_permute([0, 3, 1, 2])
}

/// The video of this shape whose frames these pictures are.
fn video(pictures: &Tensor, shape: &[i64]) -> Result<Tensor, TchError> {
    pictures.f_unflatten(0, [shape[0], shape[2]])?.f_transpose(1, 2)
}
