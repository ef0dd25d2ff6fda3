use egom2p_graph::{Builder, Dim, Literal, Value};

use super::super::{Case, Tolerance, feed::Feed};

/// Around zero, ordinary and far out, where naive formulas overflow.
const TELLING: [f32; 16] = [0.0, -0.0, 1e-6, -1e-6, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 8.0, -8.0, 30.0, -30.0, 1e4, -1e4];

type Activation = fn(Value<'_>) -> Value<'_>;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = broadcasting();
    cases.extend(masks());
    cases.extend(choices());
    let activations: [(&str, Activation); 3] = [("silu", |x| x.silu()), ("gelu", |x| x.gelu()), ("tanh", |x| x.tanh())];
    for (name, activation) in activations {
        let case = |what: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
            Case::new(&format!("{name}/{what}"), Tolerance::FUNCTION, |g, feed| activation(body(g, feed)))
        };
        cases.push(case("ordinary", &|g, feed| {
            feed.floats(g, "x", [("batch", 2).into(), ("tokens", 5).into(), 7.into()])
        }));
        // One value each, so that the large ones do not hide the others.
        for (place, value) in TELLING.into_iter().enumerate() {
            cases.push(case(&format!("telling_{place}"), &|g, feed| feed.these(g, "x", [1.into()], &[value])));
        }
        cases
            .push(case("empty", &|g, feed| feed.floats(g, "x", [("batch", 2).into(), ("tokens", 0).into(), 3.into()])));
    }
    cases
}

fn broadcasting() -> Vec<Case> {
    let video = |frames| [("batch", 2).into(), 3.into(), ("frames", frames).into()];
    vec![
        Case::new("add/row", Tolerance::ROUNDED, |g, feed| {
            feed.floats(g, "x", video(5)) + feed.floats(g, "row", [("frames", 5).into()])
        }),
        Case::new("add/scalar", Tolerance::ROUNDED, |g, feed| {
            feed.floats(g, "x", video(1)) + feed.floats(g, "one", [])
        }),
        Case::new("add/scalars", Tolerance::ROUNDED, |g, feed| feed.floats(g, "x", []) + feed.floats(g, "y", [])),
        Case::new("add/param", Tolerance::ROUNDED, |g, feed| {
            feed.floats(g, "x", [("batch", 3).into(), 4.into(), 6.into()]) + g.param("mod_emb", &[1, 1, 6])
        }),
        Case::new("add/twice_the_same", Tolerance::ROUNDED, |g, feed| {
            let x = feed.floats(g, "x", video(2));
            x + x
        }),
        Case::new("add/integers", Tolerance::EXACT, |g, feed| {
            feed.ids(g, "x", [("batch", 2).into(), 3.into()], 1 << 40) + g.integer(-7)
        }),
        Case::new("sub/outer", Tolerance::ROUNDED, |g, feed| {
            let x = feed.floats(g, "x", [("batch", 2).into(), ("queries", 3).into()]);
            x.reshape([Dim::from("batch"), "queries".into(), 1.into()])
                - x.reshape([Dim::from("batch"), 1.into(), "queries".into()])
        }),
        Case::new("sub/integers", Tolerance::EXACT, |g, feed| {
            g.integer(1) - feed.ids(g, "x", [("batch", 2).into(), ("queries", 3).into()], 5)
        }),
        Case::new("mul/column", Tolerance::ROUNDED, |g, feed| {
            feed.floats(g, "x", video(5)) * feed.floats(g, "column", [("batch", 2).into(), 1.into(), 1.into()])
        }),
        Case::new("mul/empty", Tolerance::ROUNDED, |g, feed| {
            feed.floats(g, "x", video(0)) * feed.floats(g, "column", [3.into(), 1.into()])
        }),
        Case::new("mul/large", Tolerance::ROUNDED, |g, feed| {
            let large = |generator: &mut super::super::Generator| generator.float(1e18);
            feed.floats_of(g, "x", video(4), large) * feed.floats_of(g, "y", video(4), large)
        }),
        Case::new("mul/integers", Tolerance::EXACT, |g, feed| {
            let x = feed.ids(g, "x", [("batch", 4).into()], 1 << 20);
            x * x
        }),
    ]
}

fn masks() -> Vec<Case> {
    vec![
        Case::new("equal/outer", Tolerance::EXACT, |g, feed| same(g, feed, 5)),
        Case::new("equal/empty", Tolerance::EXACT, |g, feed| same(g, feed, 0)),
        Case::new("equal/constant", Tolerance::EXACT, |g, feed| {
            feed.ids(g, "x", [("batch", 2).into(), ("queries", 9).into()], 4).equal(g.integer(3))
        }),
        Case::new("and/outer", Tolerance::EXACT, |g, feed| {
            let x = feed.coins(g, "x", [("batch", 2).into(), ("queries", 6).into()]);
            let column = x.reshape([Dim::from("batch"), "queries".into(), 1.into()]);
            column.and(x.reshape([Dim::from("batch"), 1.into(), "queries".into()]))
        }),
        Case::new("and/empty", Tolerance::EXACT, |g, feed| {
            feed.coins(g, "x", [("batch", 0).into(), 6.into()]).and(feed.coins(g, "y", [6.into()]))
        }),
    ]
}

fn same<'g>(g: &'g Builder, feed: &mut Feed, queries: usize) -> Value<'g> {
    let x = feed.ids(g, "x", [("batch", 2).into(), ("queries", queries).into()], 3);
    let column = x.reshape([Dim::from("batch"), "queries".into(), 1.into()]);
    column.equal(x.reshape([Dim::from("batch"), 1.into(), "queries".into()]))
}

fn choices() -> Vec<Case> {
    vec![
        Case::new("where/ids", Tolerance::EXACT, |g, feed| {
            let condition = feed.coins(g, "condition", [("batch", 2).into(), ("tokens", 7).into()]);
            g.choose(condition, feed.ids(g, "ids", [("batch", 2).into(), ("tokens", 7).into()], 100), g.integer(0))
        }),
        Case::new("where/rows", Tolerance::EXACT, |g, feed| {
            let condition = feed.coins(g, "condition", [("batch", 2).into(), ("tokens", 7).into(), 1.into()]);
            let rows = feed.floats(g, "rows", [("batch", 2).into(), ("tokens", 7).into(), 3.into()]);
            g.choose(condition, rows, g.constant(Literal::scalar_f32(0.0)))
        }),
        Case::new("where/all_broadcast", Tolerance::EXACT, |g, feed| {
            let condition = feed.coins(g, "condition", [("batch", 4).into(), 1.into(), 1.into()]);
            g.choose(condition, feed.floats(g, "a", [("tokens", 3).into(), 1.into()]), feed.floats(g, "b", [5.into()]))
        }),
        Case::new("where/masks", Tolerance::EXACT, |g, feed| {
            let [c, a, b] = ["c", "a", "b"].map(|name| feed.coins(g, name, [("batch", 9).into()]));
            g.choose(c, a, b)
        }),
        Case::new("where/not_a_number_left_out", Tolerance::EXACT, |g, feed| {
            let condition = feed.all(g, "condition", [("batch", 3).into()], false);
            let a = feed.these(g, "a", [("batch", 3).into()], &[f32::NAN, f32::INFINITY, 1.0]);
            g.choose(condition, a, feed.floats(g, "b", [("batch", 3).into()]))
        }),
        Case::new("where/empty", Tolerance::EXACT, |g, feed| {
            let condition = feed.coins(g, "condition", [("batch", 2).into(), ("tokens", 0).into(), 1.into()]);
            let rows = feed.floats(g, "rows", [("batch", 2).into(), ("tokens", 0).into(), 3.into()]);
            g.choose(condition, rows, g.constant(Literal::scalar_f32(0.0)))
        }),
    ]
}
