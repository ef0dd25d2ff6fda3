use egom2p_graph::{AttentionMask, Builder, Value};

use super::super::{Case, Generator, Tolerance, feed::Feed};

/// Sizes of an attention.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
    pub(super) heads: usize,
    /// Features of a head in queries and keys.
    pub(super) d: usize,
    /// Features of a head in values.
    pub(super) e: usize,
}

const ORDINARY: Sizes = Sizes { batch: 2, queries: 5, keys: 7, heads: 3, d: 4, e: 4 };

/// What a mask holds.
#[derive(Clone, Copy)]
pub(super) enum Filling {
    Coins,
    All(bool),
}

pub(super) fn cases() -> Vec<Case> {
    use Filling::{All, Coins};
    let case = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(&format!("attention/{name}"), Tolerance::SUM, |g, feed| body(g, feed))
    };
    let one = Sizes { batch: 1, queries: 1, keys: 1, heads: 1, d: 1, e: 1 };
    let no_keys = Sizes { keys: 0, ..ORDINARY };
    let no_queries = Sizes { queries: 0, ..ORDINARY };
    let mut cases = vec![
        case("plain", &|g, feed| attend(g, feed, ORDINARY, None)),
        case("one_head", &|g, feed| attend(g, feed, Sizes { heads: 1, ..ORDINARY }, None)),
        case("wider_values", &|g, feed| attend(g, feed, Sizes { e: 6, ..ORDINARY }, None)),
        case("one_of_everything", &|g, feed| attend(g, feed, one, None)),
        case("one_key", &|g, feed| attend(g, feed, Sizes { keys: 1, ..ORDINARY }, None)),
        case("odd_head", &|g, feed| attend(g, feed, Sizes { heads: 2, d: 5, e: 3, ..ORDINARY }, None)),
        case("many_keys", &|g, feed| attend(g, feed, Sizes { queries: 9, keys: 130, ..ORDINARY }, None)),
        case("no_keys", &|g, feed| attend(g, feed, no_keys, None)),
        case("no_queries", &|g, feed| attend(g, feed, no_queries, None)),
        case("nothing", &|g, feed| attend(g, feed, Sizes { keys: 0, ..no_queries }, None)),
        case("causal", &|g, feed| causal(g, feed, 6)),
        case("causal_one", &|g, feed| causal(g, feed, 1)),
        case("causal_empty", &|g, feed| causal(g, feed, 0)),
        case("self", &|g, feed| {
            let x = feed.floats(g, "x", [("batch", 2).into(), ("tokens", 5).into(), 12.into()]);
            let qkv = x.linear("qkv", 36, false);
            let parts = [0, 1, 2].map(|part| qkv.slice(2, part * 12, 12));
            g.attention(parts, 3, 0.5, (AttentionMask::None, None)).linear("proj", 12, false)
        }),
        case("self_empty", &|g, feed| {
            let x = feed.floats(g, "x", [("batch", 2).into(), ("tokens", 0).into(), 12.into()]);
            let qkv = x.linear("qkv", 36, false);
            let parts = [0, 1, 2].map(|part| qkv.slice(2, part * 12, 12));
            g.attention(parts, 3, 0.5, (AttentionMask::None, None)).linear("proj", 12, false)
        }),
        case("large_scores", &|g, feed| {
            let large = |generator: &mut Generator| generator.float(100.0);
            let [q, k] = ["q", "k"]
                .map(|name| feed.floats_of(g, name, [("batch", 2).into(), ("tokens", 6).into(), 8.into()], large));
            let v = feed.floats(g, "v", [("batch", 2).into(), ("tokens", 6).into(), 8.into()]);
            g.attention([q, k, v], 2, 1.0, (AttentionMask::None, None))
        }),
        case("large_scores_masked", &|g, feed| {
            // The masked keys would win by far.
            let axes = || [("batch", 1).into(), ("tokens", 2).into(), 1.into()];
            let q = feed.these(g, "q", axes(), &[1e4, 1e4]);
            let k = feed.these(g, "k", axes(), &[1e4, -1e4]);
            let v = feed.these(g, "v", axes(), &[7.0, 3.0]);
            let keys = feed.marks(g, "keys", [("batch", 1).into(), ("tokens", 2).into()], &[false, true]);
            g.attention([q, k, v], 1, 1.0, (AttentionMask::Keys, Some(keys)))
        }),
    ];
    for (kind, mask) in [("keys", AttentionMask::Keys), ("pairs", AttentionMask::Pairs)] {
        let fillings = [("coins", Coins, ORDINARY), ("all", All(true), ORDINARY), ("none", All(false), ORDINARY)];
        let sizes = [
            ("one_of_everything", Coins, one),
            ("one_masked", All(false), one),
            ("no_keys", Coins, no_keys),
            ("no_queries", Coins, no_queries),
            ("wider_values", Coins, Sizes { e: 6, ..ORDINARY }),
            ("many", Coins, Sizes { batch: 3, queries: 33, keys: 65, ..ORDINARY }),
        ];
        for (name, filling, sizes) in fillings.into_iter().chain(sizes) {
            cases.push(case(&format!("{kind}_{name}"), &|g, feed| attend(g, feed, sizes, Some((mask, filling)))));
        }
    }
    cases
}

pub(super) fn attend<'g>(
    g: &'g Builder,
    feed: &mut Feed,
    sizes: Sizes,
    mask: Option<(AttentionMask, Filling)>,
) -> Value<'g> {
    let Sizes { batch, queries, keys, heads, d, e } = sizes;
    let q = feed.floats(g, "q", [("batch", batch).into(), ("queries", queries).into(), (heads * d).into()]);
    let k = feed.floats(g, "k", [("batch", batch).into(), ("visible", keys).into(), (heads * d).into()]);
    let v = feed.floats(g, "v", [("batch", batch).into(), ("visible", keys).into(), (heads * e).into()]);
    let mask = match mask {
        None | Some((AttentionMask::None, _)) => (AttentionMask::None, None),
        Some((AttentionMask::Keys, filling)) => {
            let axes = [("batch", batch).into(), ("visible", keys).into()];
            let values = match filling {
                Filling::Coins => feed.coins(g, "mask", axes),
                Filling::All(value) => feed.all(g, "mask", axes, value),
            };
            (AttentionMask::Keys, Some(values))
        }
        Some((AttentionMask::Pairs, filling)) => {
            let axes = [("batch", batch).into(), ("queries", queries).into(), ("visible", keys).into()];
            let values = match filling {
                Filling::Coins => feed.coins(g, "mask", axes),
                Filling::All(value) => feed.all(g, "mask", axes, value),
            };
            (AttentionMask::Pairs, Some(values))
        }
    };
    g.attention([q, k, v], heads, (d as f32).powf(-0.5), mask)
}

fn causal<'g>(g: &'g Builder, feed: &mut Feed, tokens: usize) -> Value<'g> {
    let parts = ["q", "k", "v"].map(|name| feed.floats(g, name, [("batch", 3).into(), ("t", tokens).into(), 8.into()]));
    g.causal_attention(parts, 2, 0.5)
}
