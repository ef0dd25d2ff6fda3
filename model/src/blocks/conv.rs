use std::fmt::Display;

use egom2p_graph::{Builder, Dim, Padding, Value};

use super::NORM_EPSILON;

/// No zeros around a frame.
pub(crate) const NO_PADDING: Padding = Padding { before: 0, after: 0 };

/// A convolution of every frame by itself, kernel `[1, 3, 3]`.
pub(crate) fn spatial<'g>(
    g: &'g Builder,
    x: Value<'g>,
    name: impl Display,
    out_channels: usize,
    stride: usize,
    padding: Padding,
) -> Value<'g> {
    conv(g, x, name, out_channels, [1, 3, 3], stride, padding)
}

/// A 3x3 convolution of every frame by itself, then one of three steps over time: `NAME.0` and `NAME.1`.
pub(crate) fn factorised<'g>(g: &'g Builder, x: Value<'g>, name: impl Display, out_channels: usize) -> Value<'g> {
    g.enter(name, || {
        let x = spatial(g, x, 0, out_channels, 1, Padding { before: 1, after: 1 });
        conv(g, x, 1, out_channels, [3, 1, 1], 1, NO_PADDING)
    })
}

/// A convolution of every pixel by itself, kernel `[1, 1, 1]`.
pub(crate) fn pointwise<'g>(g: &'g Builder, x: Value<'g>, name: impl Display, out_channels: usize) -> Value<'g> {
    conv(g, x, name, out_channels, [1, 1, 1], 1, NO_PADDING)
}

/// Normalisation of every frame by itself with the parameters `NAME.norm.weight` and `NAME.norm.bias`.
pub(crate) fn frame_norm<'g>(g: &'g Builder, x: Value<'g>, name: impl Display) -> Value<'g> {
    let channels = channels(x);
    g.enter(name, || {
        g.enter("norm", || {
            let (weight, bias) = (g.param("weight", &[channels]), g.param("bias", &[channels]));
            x.frame_norm(NORM_EPSILON, weight, bias)
        })
    })
}

/// The number of channels of `x` `[batch, channels, frames, height, width]`; 0 where an earlier mistake left none.
pub(crate) fn channels(x: Value<'_>) -> usize {
    x.shape().get(1).and_then(Dim::as_fixed).unwrap_or(0)
}

fn conv<'g>(
    g: &'g Builder,
    x: Value<'g>,
    name: impl Display,
    out_channels: usize,
    [frames, height, width]: [usize; 3],
    stride: usize,
    padding: Padding,
) -> Value<'g> {
    let in_channels = channels(x);
    g.enter(name, || {
        g.enter("conv3d", || {
            let weight = g.param("weight", &[out_channels, in_channels, frames, height, width]);
            x.causal_conv(weight, g.param("bias", &[out_channels]), stride, padding)
        })
    })
}
