use egom2p_graph::{Builder, Dim, Value};

use super::attention::NO_MASK;
use super::conv::{channels, frame_norm};

/// Attention among the pixels of every frame (specification section 3.2). Takes and gives
/// `[batch, channels, frames, height, width]`.
pub(crate) fn spatial_attention<'g>(g: &'g Builder, x: Value<'g>) -> Value<'g> {
    attention(g, x, [0, 2, 3, 4, 1], 2, |[q, k, v], scale| g.attention([q, k, v], 1, scale, NO_MASK))
}

/// Attention of every pixel to itself in the same and in earlier frames. Takes and gives
/// `[batch, channels, frames, height, width]`.
pub(crate) fn temporal_attention<'g>(g: &'g Builder, x: Value<'g>) -> Value<'g> {
    attention(g, x, [0, 3, 4, 2, 1], 3, |parts, scale| g.causal_attention(parts, 1, scale))
}

/// One head as wide as the channels, and a residual. `perm` brings channels to the end and the axes that are attended
/// over right before them; the first `n_separate` of its axes do not see each other.
fn attention<'g>(
    g: &'g Builder,
    x: Value<'g>,
    perm: [usize; 5],
    n_separate: usize,
    attend: impl Fn([Value<'g>; 3], f32) -> Value<'g>,
) -> Value<'g> {
    let width = channels(x);
    let h = frame_norm(g, x, "norm").transpose(&perm);
    let spread = h.shape();
    let (separate, attended) = spread.split_at(n_separate);
    let attended = &attended[..attended.len() - 1];
    let h = h.reshape([Dim::product(separate), Dim::product(attended), Dim::fixed(width)]);
    let parts = ["q", "k", "v"].map(|name| per_pixel(g, h, name, width));
    let h = per_pixel(g, attend(parts, (width as f64).powf(-0.5) as f32), "proj_out", width);
    let mut inverse = [0; 5];
    for (place, axis) in perm.into_iter().enumerate() {
        inverse[axis] = place;
    }
    x + h.reshape(spread).transpose(&inverse)
}

/// A convolution with kernel `[1, 1, 1]`, whose channels are the last axis here.
fn per_pixel<'g>(g: &'g Builder, x: Value<'g>, name: &str, width: usize) -> Value<'g> {
    g.enter(name, || {
        g.enter("conv3d", || {
            let weight = g.param("weight", &[width, width, 1, 1, 1]).reshape([width, width]);
            x.project(weight, Some(g.param("bias", &[width])))
        })
    })
}
