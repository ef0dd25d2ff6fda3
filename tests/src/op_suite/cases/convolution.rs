//! Convolutions, changes of resolution and Haar patches of video.

use egom2p_graph::{Builder, Padding, Value};

use super::super::{Case, Tolerance, feed::Feed};

const NONE: Padding = Padding { before: 0, after: 0 };
const AROUND: Padding = Padding { before: 1, after: 1 };
const BEHIND: Padding = Padding { before: 0, after: 1 };

pub(super) fn cases() -> Vec<Case> {
    let sum = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(name, Tolerance::SUM, |g, feed| body(g, feed))
    };
    let exact = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(name, Tolerance::EXACT, |g, feed| body(g, feed))
    };
    let mut cases = vec![
        sum("causal_conv/spatial", &|g, feed| conv(g, video(g, feed, [2, 4, 3, 6, 8]), 5, [1, 3, 3], 1, AROUND)),
        sum("causal_conv/temporal", &|g, feed| conv(g, video(g, feed, [2, 4, 5, 3, 2]), 5, [3, 1, 1], 1, NONE)),
        sum("causal_conv/pointwise", &|g, feed| conv(g, video(g, feed, [2, 4, 2, 3, 5]), 7, [1, 1, 1], 1, NONE)),
        sum("causal_conv/strided", &|g, feed| conv(g, video(g, feed, [2, 3, 2, 6, 8]), 4, [1, 3, 3], 2, BEHIND)),
        sum("causal_conv/strided_odd", &|g, feed| conv(g, video(g, feed, [1, 2, 1, 5, 7]), 3, [1, 3, 3], 2, BEHIND)),
        sum("causal_conv/all_axes", &|g, feed| conv(g, video(g, feed, [2, 3, 4, 5, 4]), 3, [3, 3, 3], 1, AROUND)),
        sum("causal_conv/one_frame", &|g, feed| conv(g, video(g, feed, [1, 3, 1, 4, 4]), 3, [3, 1, 1], 1, NONE)),
        sum("causal_conv/two_frames", &|g, feed| conv(g, video(g, feed, [2, 3, 2, 1, 3]), 3, [3, 1, 1], 1, NONE)),
        sum("causal_conv/one_pixel", &|g, feed| conv(g, video(g, feed, [2, 3, 2, 1, 1]), 4, [1, 3, 3], 1, AROUND)),
        sum("causal_conv/one_channel", &|g, feed| conv(g, video(g, feed, [1, 1, 3, 3, 3]), 1, [1, 3, 3], 1, AROUND)),
        sum("causal_conv/empty_batch", &|g, feed| conv(g, video(g, feed, [0, 3, 2, 4, 4]), 3, [1, 3, 3], 1, AROUND)),
        sum("causal_conv/chain", &|g, feed| {
            let x = video(g, feed, [2, 3, 3, 4, 4]);
            let y = g.enter("0", || conv(g, x, 4, [1, 3, 3], 1, AROUND));
            let y = g.enter("1", || conv(g, y, 4, [3, 1, 1], 1, NONE)).silu();
            g.enter("2", || conv(g, y, 3, [1, 1, 1], 1, NONE)) + x
        }),
        sum("causal_conv/downsample", &|g, feed| {
            let x = video(g, feed, [2, 3, 2, 4, 6]);
            conv(g, x, 3, [1, 3, 3], 2, BEHIND) + x.average_pool()
        }),
        sum("average_pool/even", &|g, feed| video(g, feed, [2, 3, 2, 4, 6]).average_pool()),
        sum("average_pool/odd", &|g, feed| video(g, feed, [1, 2, 3, 5, 7]).average_pool()),
        sum("average_pool/smallest", &|g, feed| video(g, feed, [1, 1, 1, 2, 2]).average_pool()),
        exact("upsample_nearest/video", &|g, feed| video(g, feed, [2, 3, 2, 3, 2]).upsample_nearest()),
        exact("upsample_nearest/one_pixel", &|g, feed| video(g, feed, [1, 1, 1, 1, 1]).upsample_nearest()),
        exact("upsample_nearest/empty_batch", &|g, feed| video(g, feed, [0, 2, 1, 2, 2]).upsample_nearest()),
    ];
    for (patch, frames, height, width) in
        [(1, 3, 2, 3), (2, 1, 2, 2), (2, 5, 4, 6), (4, 1, 4, 4), (4, 9, 8, 12), (4, 5, 4, 8)]
    {
        cases.push(sum(&format!("haar_patch/{patch}_of_{frames}x{height}x{width}"), &|g, feed| {
            video(g, feed, [2, 3, frames, height, width]).haar_patch(patch)
        }));
        let (t, h, w) = (frames.div_ceil(patch), height / patch, width / patch);
        cases.push(sum(&format!("haar_unpatch/{patch}_of_{t}x{h}x{w}"), &|g, feed| {
            video(g, feed, [2, 2 * patch * patch * patch, t, h, w]).haar_unpatch(patch)
        }));
    }
    cases
}

pub(super) fn video<'g>(g: &'g Builder, feed: &mut Feed, sizes: [usize; 5]) -> Value<'g> {
    let [batch, channels, frames, height, width] = sizes;
    let axes = [
        ("batch", batch).into(),
        channels.into(),
        ("frames", frames).into(),
        ("height", height).into(),
        ("width", width).into(),
    ];
    feed.floats(g, "x", axes)
}

pub(super) fn conv<'g>(
    g: &'g Builder,
    x: Value<'g>,
    out_channels: usize,
    [frames, height, width]: [usize; 3],
    stride: usize,
    padding: Padding,
) -> Value<'g> {
    let in_channels = x.shape()[1].as_fixed().expect("videos have a fixed number of channels");
    let weight = g.param("weight", &[out_channels, in_channels, frames, height, width]);
    x.causal_conv(weight, g.param("bias", &[out_channels]), stride, padding)
}
