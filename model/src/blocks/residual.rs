use egom2p_graph::{Builder, Value};

use super::conv::{channels, factorised, frame_norm, pointwise};

/// Two normalised convolutions around a shortcut (specification section 3.2); the shortcut is a 1x1 convolution where
/// the widths differ.
pub(crate) fn residual_block<'g>(g: &'g Builder, x: Value<'g>, out_channels: usize) -> Value<'g> {
    let h = frame_norm(g, x, "norm1").silu();
    let h = factorised(g, h, "conv1", out_channels);
    let h = frame_norm(g, h, "norm2").silu();
    let h = factorised(g, h, "conv2", out_channels);
    let shortcut = if channels(x) == out_channels { x } else { pointwise(g, x, "nin_shortcut", out_channels) };
    shortcut + h
}
