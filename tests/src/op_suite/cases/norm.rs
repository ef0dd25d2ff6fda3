use egom2p_graph::{Builder, Value};

use super::super::{Case, Generator, Tolerance, feed::Feed};

const EPSILON: f32 = 1e-6;

pub(super) fn cases() -> Vec<Case> {
    let sum = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(name, Tolerance::SUM, |g, feed| body(g, feed))
    };
    let mut cases = vec![
        sum("layer_norm/plain", &|g, feed| rows(g, feed, 2, 5, 24).layer_norm("norm", EPSILON, false)),
        sum("layer_norm/bias", &|g, feed| rows(g, feed, 2, 5, 24).layer_norm("norm", EPSILON, true)),
        sum("layer_norm/large_epsilon", &|g, feed| rows(g, feed, 1, 3, 5).layer_norm("norm", 0.5, true)),
        sum("layer_norm/one_feature", &|g, feed| rows(g, feed, 2, 2, 1).layer_norm("norm", EPSILON, true)),
        sum("layer_norm/two_features", &|g, feed| rows(g, feed, 2, 2, 2).layer_norm("norm", EPSILON, false)),
        sum("layer_norm/constant_rows", &|g, feed| {
            feed.these(g, "x", [("batch", 1).into(), 8.into()], &[0.75; 8]).layer_norm("norm", EPSILON, true)
        }),
        sum("layer_norm/empty", &|g, feed| rows(g, feed, 2, 0, 24).layer_norm("norm", EPSILON, true)),
        sum("layer_norm/large", &|g, feed| {
            let draw = |generator: &mut Generator| generator.float(1e10);
            feed.floats_of(g, "x", [("batch", 3).into(), 33.into()], draw).layer_norm("norm", EPSILON, true)
        }),
        sum("frame_norm/plain", &|g, feed| frame_norm(g, feed, [2, 8, 3, 4, 6], EPSILON)),
        sum("frame_norm/one_frame", &|g, feed| frame_norm(g, feed, [1, 5, 1, 3, 5], EPSILON)),
        sum("frame_norm/one_pixel", &|g, feed| frame_norm(g, feed, [2, 7, 2, 1, 1], EPSILON)),
        sum("frame_norm/one_channel", &|g, feed| frame_norm(g, feed, [3, 1, 2, 2, 2], EPSILON)),
        sum("frame_norm/one_value", &|g, feed| frame_norm(g, feed, [1, 1, 2, 1, 1], EPSILON)),
        sum("frame_norm/empty_batch", &|g, feed| frame_norm(g, feed, [0, 4, 2, 2, 2], EPSILON)),
        sum("frame_norm/then_silu", &|g, feed| frame_norm(g, feed, [2, 4, 2, 3, 3], 1e-2).silu()),
        sum("l2_normalize/rows", &|g, feed| rows(g, feed, 2, 5, 32).l2_normalize(1e-12)),
        sum("l2_normalize/small", &|g, feed| {
            let draw = |generator: &mut Generator| generator.float(1e-3);
            feed.floats_of(g, "x", [("batch", 3).into(), 4.into()], draw).l2_normalize(0.1)
        }),
        sum("l2_normalize/zero", &|g, feed| {
            feed.these(g, "x", [("batch", 2).into(), 3.into()], &[0.0; 6]).l2_normalize(1e-12)
        }),
        sum("l2_normalize/one_feature", &|g, feed| rows(g, feed, 2, 2, 1).l2_normalize(1e-12)),
        sum("l2_normalize/empty", &|g, feed| rows(g, feed, 2, 0, 5).l2_normalize(1e-12)),
        sum("l2_normalize/param", &|g, feed| {
            let ids = feed.ids(g, "ids", [("batch", 4).into()], 9);
            g.param("embed", &[9, 6]).l2_normalize(1e-12).embedding(ids)
        }),
    ];
    cases.push(Case::new("layer_norm/far_from_zero", Tolerance::OFFSET, |g, feed| {
        let draw = |generator: &mut Generator| 1000.0 + generator.float(1.0);
        feed.floats_of(g, "x", [("batch", 3).into(), 48.into()], draw).layer_norm("norm", EPSILON, false)
    }));
    cases.push(Case::new("frame_norm/far_from_zero", Tolerance::OFFSET, |g, feed| {
        let draw = |generator: &mut Generator| 1000.0 + generator.float(1.0);
        let axes = [("batch", 2).into(), 4.into(), ("frames", 2).into(), ("height", 3).into(), ("width", 3).into()];
        let x = feed.floats_of(g, "x", axes, draw);
        x.frame_norm(EPSILON, g.param("weight", &[4]), g.param("bias", &[4]))
    }));
    cases
}

fn rows<'g>(g: &'g Builder, feed: &mut Feed, batch: usize, tokens: usize, features: usize) -> Value<'g> {
    feed.floats(g, "x", [("batch", batch).into(), ("tokens", tokens).into(), features.into()])
}

fn frame_norm<'g>(g: &'g Builder, feed: &mut Feed, sizes: [usize; 5], epsilon: f32) -> Value<'g> {
    let [batch, channels, frames, height, width] = sizes;
    let axes = [
        ("batch", batch).into(),
        channels.into(),
        ("frames", frames).into(),
        ("height", height).into(),
        ("width", width).into(),
    ];
    feed.floats(g, "x", axes).frame_norm(epsilon, g.param("weight", &[channels]), g.param("bias", &[channels]))
}
