//! The three-dimensional Haar transform (specification section 3.2), as sums and differences of strided halves.

use super::Operands;
use super::pixels::first_frame_repeated;
use tch::{TchError, Tensor};

/// Axes of time, height and width; a subband's three bits stand for them in this order.
const AXES: [i64; 3] = [2, 3, 4];

/// Repeats the first frame `patch` times in all, and transforms.
pub(super) fn patch(operands: &Operands<'_>, patch: usize) -> Result<Tensor, TchError> {
    let mut volume = first_frame_repeated(operands.inputs[0], patch as i64 - 1)?;
    for _ in 0..patch.ilog2() {
        volume = analysed(&volume)?;
    }
    Ok(volume)
}

/// Transforms back, and drops the frames that were repeated.
pub(super) fn unpatch(operands: &Operands<'_>, patch: usize) -> Result<Tensor, TchError> {
    let mut volume = operands.inputs[0].shallow_clone();
    for _ in 0..patch.ilog2() {
        volume = synthesised(&volume)?;
    }
    let frames = volume.size()[2] - (patch as i64 - 1);
    volume.f_narrow(2, patch as i64 - 1, frames)
}

/// One step: every axis halved, eight subbands where there was one.
fn analysed(volume: &Tensor) -> Result<Tensor, TchError> {
    let mut bands = vec![volume.shallow_clone()];
    for axis in AXES {
        let mut finer = Vec::with_capacity(2 * bands.len());
        for band in &bands {
            let length = band.size()[axis as usize];
            let first = band.f_slice(axis, 0, length, 2)?;
            let second = band.f_slice(axis, 1, length, 2)?;
            finer.push(first.f_add(&second)?);
            finer.push(first.f_sub(&second)?);
        }
        bands = finer;
    }
    Tensor::f_cat(&bands, 1)?.f_div_scalar(8.0)
}

/// One step back.
fn synthesised(volume: &Tensor) -> Result<Tensor, TchError> {
    let mut bands = volume.f_chunk(8, 1)?;
    for axis in AXES.into_iter().rev() {
        let mut coarser = Vec::with_capacity(bands.len() / 2);
        for pair in bands.chunks_exact(2) {
            let both = [pair[0].f_add(&pair[1])?, pair[0].f_sub(&pair[1])?];
            coarser.push(Tensor::f_stack(&both, axis + 1)?.f_flatten(axis, axis + 1)?);
        }
        bands = coarser;
    }
    Ok(bands.remove(0))
}
