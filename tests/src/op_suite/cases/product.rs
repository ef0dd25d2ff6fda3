use egom2p_graph::{Builder, Value};

use super::super::{Case, Tolerance, feed::Feed};

pub(super) fn cases() -> Vec<Case> {
    let sum = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(name, Tolerance::SUM, |g, feed| body(g, feed))
    };
    vec![
        sum("linear/plain", &|g, feed| rows(g, feed, 2, 5, 12).linear("fc", 7, false)),
        sum("linear/bias", &|g, feed| rows(g, feed, 2, 5, 12).linear("fc", 7, true)),
        sum("linear/one_row", &|g, feed| rows(g, feed, 1, 1, 24).linear("fc", 24, true)),
        sum("linear/one_feature", &|g, feed| rows(g, feed, 3, 2, 1).linear("fc", 1, true)),
        sum("linear/odd_sizes", &|g, feed| rows(g, feed, 3, 7, 193).linear("fc", 257, false)),
        sum("linear/empty", &|g, feed| rows(g, feed, 2, 0, 12).linear("fc", 7, true)),
        sum("linear/empty_batch", &|g, feed| rows(g, feed, 0, 3, 12).linear("fc", 7, false)),
        sum("linear/vector", &|g, feed| feed.floats(g, "x", [9.into()]).linear("fc", 4, true)),
        sum("linear/four_axes", &|g, feed| {
            let axes = [("batch", 2).into(), ("t", 2).into(), ("pixels", 3).into(), 8.into()];
            feed.floats(g, "x", axes).linear("q", 8, true)
        }),
        sum("linear/shared_weight", &|g, feed| {
            let x = rows(g, feed, 2, 3, 6);
            x.linear("head", 6, false).linear("head", 6, false)
        }),
        sum("linear/computed_weight", &|g, feed| {
            let codes = g.param("codes", &[9, 6]).l2_normalize(1e-12);
            rows(g, feed, 2, 3, 6).l2_normalize(1e-12).project(codes, None)
        }),
        sum("linear/reshaped_weight", &|g, feed| {
            let weight = g.param("weight", &[4, 3, 2]).reshape([4_usize, 6]);
            rows(g, feed, 2, 3, 6).project(weight, Some(g.param("bias", &[4])))
        }),
        sum("linear/fed_weight", &|g, feed| {
            let weight = feed.floats(g, "weight", [("out", 5).into(), 6.into()]);
            rows(g, feed, 2, 3, 6).project(weight, None)
        }),
        sum("linear/sliced_result", &|g, feed| rows(g, feed, 2, 3, 6).linear("qkv", 18, true).slice(2, 6, 6)),
        sum("linear/large_values", &|g, feed| {
            let draw = |generator: &mut super::super::Generator| generator.float(1e15);
            feed.floats_of(g, "x", [("batch", 2).into(), 8.into()], draw).linear("fc", 3, true)
        }),
        sum("linear/gated", &|g, feed| {
            let x = rows(g, feed, 2, 3, 12);
            (x.linear("fc1", 20, false).silu() * x.linear("fc3", 20, false)).linear("fc2", 12, false)
        }),
    ]
}

fn rows<'g>(g: &'g Builder, feed: &mut Feed, batch: usize, tokens: usize, features: usize) -> Value<'g> {
    feed.floats(g, "x", [("batch", batch).into(), ("tokens", tokens).into(), features.into()])
}
