use egom2p_graph::{Builder, Value};

use super::super::{Case, Tolerance, feed::Feed};

pub(super) fn cases() -> Vec<Case> {
    let exact = |name: &str, body: &dyn for<'g> Fn(&'g Builder, &mut Feed) -> Value<'g>| {
        Case::new(name, Tolerance::EXACT, |g, feed| body(g, feed))
    };
    vec![
        exact("embedding/rows", &|g, feed| {
            let ids = feed.ids(g, "ids", [("batch", 2).into(), ("tokens", 5).into()], 11);
            g.param("table", &[11, 3]).embedding(ids)
        }),
        exact("embedding/grid", &|g, feed| {
            let ids = feed.ids(g, "ids", [("batch", 2).into(), 2.into(), ("h", 3).into(), 1.into()], 4);
            g.param("table", &[4, 5]).embedding(ids)
        }),
        exact("embedding/first_and_last", &|g, feed| {
            let ids = feed.ids(g, "ids", [("batch", 3).into()], 1);
            let last = g.integer(6) - ids;
            g.param("table", &[7, 2]).embedding(ids) - g.param("table", &[7, 2]).embedding(last)
        }),
        exact("embedding/one_row", &|g, feed| {
            g.param("table", &[1, 4]).embedding(feed.ids(g, "ids", [("batch", 2).into(), 3.into()], 1))
        }),
        exact("embedding/fed_table", &|g, feed| {
            let ids = feed.ids(g, "ids", [("tokens", 6).into()], 5);
            feed.floats(g, "table", [5.into(), ("dim", 2).into()]).embedding(ids)
        }),
        exact("embedding/empty", &|g, feed| {
            g.param("table", &[7, 2]).embedding(feed.ids(g, "ids", [("batch", 2).into(), ("tokens", 0).into()], 7))
        }),
        exact("embedding/one_id", &|g, feed| g.param("table", &[7, 2]).embedding(feed.ids(g, "ids", [], 7))),
        exact("arg_max/rows", &|g, feed| {
            feed.floats(g, "x", [("batch", 3).into(), ("tokens", 4).into(), 17.into()]).arg_max()
        }),
        exact("arg_max/first_of_equals", &|g, feed| {
            let draw = |generator: &mut super::super::Generator| generator.index(3) as f32;
            feed.floats_of(g, "x", [("batch", 20).into(), 9.into()], draw).arg_max()
        }),
        exact("arg_max/negative", &|g, feed| {
            let draw = |generator: &mut super::super::Generator| -1e6 - generator.float(10.0).abs();
            feed.floats_of(g, "x", [("batch", 5).into(), 6.into()], draw).arg_max()
        }),
        exact("arg_max/one_value", &|g, feed| feed.floats(g, "x", [("batch", 5).into(), 1.into()]).arg_max()),
        exact("arg_max/empty", &|g, feed| feed.floats(g, "x", [("batch", 0).into(), 4.into()]).arg_max()),
    ]
}
