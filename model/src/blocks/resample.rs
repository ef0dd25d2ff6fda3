use egom2p_graph::{Builder, Padding, Value};

use super::conv::{channels, pointwise, spatial};

/// Halves height and width, which are even (specification section 3.2). The published code pools the input with one more
/// row and column of zeros, which pooling an even size never reads.
pub(crate) fn downsample<'g>(g: &'g Builder, x: Value<'g>) -> Value<'g> {
    let width = channels(x);
    let strided = spatial(g, x, "conv1", width, 2, Padding { before: 0, after: 1 });
    pointwise(g, strided + x.average_pool(), "conv3", width)
}

/// Doubles height and width (specification section 3.4).
pub(crate) fn upsample<'g>(g: &'g Builder, x: Value<'g>) -> Value<'g> {
    let width = channels(x);
    let x = x.upsample_nearest();
    let x = spatial(g, x, "conv2", width, 1, Padding { before: 1, after: 1 }) + x;
    pointwise(g, x, "conv3", width)
}
