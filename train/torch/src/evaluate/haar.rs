//! The three-dimensional Haar transform (specification section 3.2), as one product per patch.

use super::Operands;
use super::pixels::first_frame_repeated;
use tch::{TchError, Tensor};

/// Repeats the first frame `patch` times in all, and transforms.
pub(super) fn patch(operands: &Operands<'_>, patch: usize) -> Result<Tensor, TchError> {
    let side = patch as i64;
    let volume = first_frame_repeated(operands.inputs[0], side - 1)?;
    let (batch, channels, frames, height, width) = volume.size5()?;
    let grid = [batch, frames / side, height / side, width / side];
    let patches = volume
        .f_reshape([batch, channels, grid[1], side, grid[2], side, grid[3], side])?
        .f_permute([0, 2, 4, 6, 1, 3, 5, 7])?
        .f_reshape([-1, side.pow(3)])?;
    let signs = signs(patch, &volume)?;
    let scaled = signs.f_div_scalar(signs.size()[0])?;
    let bands = patches.f_matmul(&scaled.f_transpose(0, 1)?)?;
    let [batch, t, h, w] = grid;
    let bands = bands.f_reshape([batch, t, h, w, channels, -1])?.f_transpose(4, 5)?;
    bands.f_flatten(4, 5)?.f_permute([0, 4, 1, 2, 3])
}

/// Transforms back, and drops the frames that were repeated.
pub(super) fn unpatch(operands: &Operands<'_>, patch: usize) -> Result<Tensor, TchError> {
    let side = patch as i64;
    let signs = signs(patch, operands.inputs[0])?;
    let bands = operands.inputs[0].f_unflatten(1, [signs.size()[0], -1])?;
    let (batch, channels) = (bands.size()[0], bands.size()[2]);
    let (t, h, w) = (bands.size()[3], bands.size()[4], bands.size()[5]);
    let patches = bands.f_permute([0, 3, 4, 5, 2, 1])?.f_matmul(&signs)?;
    let volume = patches
        .f_reshape([batch, t, h, w, channels, side, side, side])?
        .f_permute([0, 4, 1, 5, 2, 6, 3, 7])?
        .f_reshape([batch, channels, t * side, h * side, w * side])?;
    volume.f_narrow(2, side - 1, t * side - (side - 1))
}

/// What each pixel of a patch counts for in each subband, `[bands, pixels]`: 1 or -1, in the type and on the device of `like`.
///
/// The first step joins the pixels whose places differ in the lowest bit, and gives the three lowest bits of a subband, which
/// stand for time, height and width; every further step takes the next bit of the places and the next three of the subband.
fn signs(patch: usize, like: &Tensor) -> Result<Tensor, TchError> {
    let n_pixels = patch.pow(3);
    let sign = |band: usize, pixel: usize| {
        let place = [pixel / (patch * patch), pixel / patch % patch, pixel % patch];
        let differences = (0..patch.ilog2()).flat_map(|step| {
            let axes = [2, 1, 0].map(|bit| band >> (3 * step + bit));
            axes.into_iter().zip(place).map(move |(axis, place)| axis & (place >> step) & 1)
        });
        if differences.sum::<usize>().is_multiple_of(2) { 1.0_f32 } else { -1.0 }
    };
    let signs: Vec<f32> = (0..n_pixels).flat_map(|band| (0..n_pixels).map(move |pixel| sign(band, pixel))).collect();
    let side = n_pixels as i64;
    Tensor::f_from_slice(&signs)?.f_reshape([side, side])?.f_to_device(like.device())?.f_to_kind(like.kind())
}
