use egom2p_graph::{Builder, Dim, Value};

use super::super::{Case, Tolerance, feed::Feed};

pub(super) fn cases() -> Vec<Case> {
    let exact = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(name, Tolerance::EXACT, |g, feed| body(g, feed))
    };
    let mut cases = vec![
        exact("reshape/split_the_last", &|g, feed| {
            rows(g, feed, 2, 3).reshape([Dim::from("batch"), "tokens".into(), 3.into(), 2.into()])
        }),
        exact("reshape/flatten", &|g, feed| {
            let x = rows(g, feed, 2, 3);
            x.reshape([Dim::product(&x.shape())])
        }),
        exact("reshape/swap_sizes", &|g, feed| {
            rows(g, feed, 2, 3).reshape([Dim::from("tokens"), "batch".into(), 6.into()])
        }),
        exact("reshape/join_named", &|g, feed| {
            let x = rows(g, feed, 3, 4);
            let shape = x.shape();
            x.reshape([Dim::product(&shape[..2]), Dim::fixed(2), Dim::fixed(3)])
        }),
        exact("reshape/empty", &|g, feed| {
            let x = rows(g, feed, 2, 0);
            let shape = x.shape();
            x.reshape([Dim::product(&shape[..2]), Dim::fixed(6)])
        }),
        exact("reshape/empty_swapped", &|g, feed| {
            rows(g, feed, 0, 3).reshape([Dim::from("tokens"), 2.into(), "batch".into(), 3.into()])
        }),
        exact("reshape/mask_column", &|g, feed| {
            feed.coins(g, "mask", [("batch", 2).into(), ("tokens", 3).into()]).reshape([
                Dim::from("batch"),
                1.into(),
                "tokens".into(),
                1.into(),
            ])
        }),
        exact("reshape/scalar", &|g, feed| feed.floats(g, "x", [1.into(), 1.into()]).reshape([0_usize; 0])),
        exact("transpose/masks", &|g, feed| feed.coins(g, "x", [("batch", 3).into(), 4.into()]).transpose(&[1, 0])),
        exact("transpose/not_at_all", &|g, feed| rows(g, feed, 2, 3).transpose(&[0, 1, 2])),
        exact("transpose/empty", &|g, feed| rows(g, feed, 2, 0).transpose(&[2, 0, 1])),
        exact("transpose/twice", &|g, feed| rows(g, feed, 2, 3).transpose(&[1, 2, 0]).transpose(&[2, 0, 1])),
        exact("slice/from_the_start", &|g, feed| rows(g, feed, 2, 3).slice(2, 0, 2)),
        exact("slice/to_the_end", &|g, feed| rows(g, feed, 2, 3).slice(2, 4, 2)),
        exact("slice/all", &|g, feed| rows(g, feed, 2, 3).slice(2, 0, 6)),
        exact("slice/nothing", &|g, feed| rows(g, feed, 2, 3).slice(2, 3, 0)),
        exact("slice/of_empty", &|g, feed| rows(g, feed, 0, 3).slice(2, 1, 3)),
        exact("slice/first_axis", &|g, feed| feed.ids(g, "x", [5.into(), ("batch", 3).into()], 99).slice(0, 2, 2)),
        exact("slice/of_param", &|g, feed| {
            feed.floats(g, "x", [("batch", 3).into(), 2.into()]) * g.param("table", &[4, 2]).slice(0, 1, 1)
        }),
    ];
    for perm in [[0, 2, 3, 4, 1], [0, 3, 4, 2, 1], [4, 3, 2, 1, 0], [0, 2, 1, 3, 4]] {
        cases.push(exact(&format!("transpose/video_{perm:?}"), &|g, feed| {
            let axes = [("batch", 2).into(), 3.into(), ("frames", 2).into(), ("height", 4).into(), ("width", 5).into()];
            feed.floats(g, "x", axes).transpose(&perm)
        }));
    }
    cases
}

fn rows<'g>(g: &'g Builder, feed: &mut Feed, batch: usize, tokens: usize) -> Value<'g> {
    feed.floats(g, "x", [("batch", batch).into(), ("tokens", tokens).into(), 6.into()])
}
