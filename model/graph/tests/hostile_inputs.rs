//! Whatever is fed, the interpreter answers with outputs of the declared shapes or with an error.

use egom2p_graph::{
    AttentionMask, Builder, DType, Dim, Graph, Literal, LiteralData, ParameterError, Parameters, interpreter::interpret,
};
use proptest::prelude::*;

struct Ones;

impl Parameters for Ones {
    fn parameter(&self, _: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        Ok(vec![1.0; shape.iter().product()])
    }
}

/// Rows looked up by ids that attend to each other under a mask.
fn masked_rows() -> Graph {
    let g = Builder::new("rows");
    g.require("rows", 2, 1);
    let ids = g.input("ids", DType::I64, ["batch", "rows"]);
    let mask = g.input("mask", DType::Bool, ["batch", "rows"]);
    let x = g.enter("embed", || g.param("table", &[5, 4]).embedding(ids));
    let y = g.attention([x, x, x], 2, 0.5, (AttentionMask::Keys, Some(mask))).linear("proj", 3, true);
    let columns = mask.reshape([Dim::from("batch"), "rows".into(), 1.into()]);
    let y = g.choose(columns, y, g.constant(Literal::scalar_f32(0.0))).id();
    g.finish([("y", y)]).expect("a sound graph")
}

/// Frames of video through everything that changes their sizes.
fn resized_video() -> Graph {
    let g = Builder::new("video");
    let x =
        g.input("video", DType::F32, [Dim::from("batch"), 2.into(), "frames".into(), "height".into(), "width".into()]);
    let patches = x.average_pool().haar_patch(2).id();
    g.finish([("patches", patches)]).expect("a sound graph")
}

fn literal(max_rank: usize) -> impl Strategy<Value = Literal> {
    let shape = prop::collection::vec(0..6_usize, 0..=max_rank);
    (shape, 0..3_u8, any::<u64>()).prop_map(|(shape, kind, seed)| {
        let count = shape.iter().product();
        let ids = (0..count).map(|i| (seed.rotate_left(i as u32 % 64) % 6) as i64 - i64::from(seed % 97 == 0));
        let data = match kind {
            0 => LiteralData::F32(ids.map(|id| if id == 5 { f32::NAN } else { id as f32 }).collect()),
            1 => LiteralData::I64(ids.collect()),
            _ => LiteralData::Bool(ids.map(|id| id > 2).collect()),
        };
        Literal::new(shape, data).expect("as many values as the shape has")
    })
}

/// Mostly the right names and ranks, so that deeper checks are reached.
fn inputs(names: &'static [&'static str], max_rank: usize) -> impl Strategy<Value = Vec<(&'static str, Literal)>> {
    prop::collection::vec((prop::sample::select(names), literal(max_rank)), 0..3)
}

fn check(graph: &Graph, inputs: &[(&str, Literal)]) -> Result<bool, TestCaseError> {
    match interpret(graph, inputs, &Ones) {
        Ok(outputs) => {
            for ((name, value), (declared, id)) in outputs.iter().zip(graph.outputs()) {
                prop_assert_eq!(name, declared);
                prop_assert_eq!(value.dtype(), graph.node(*id).fact.dtype);
                prop_assert_eq!(value.shape().len(), graph.node(*id).fact.shape.len());
            }
            Ok(true)
        }
        Err(error) => {
            prop_assert_eq!(error.to_string().lines().count(), 2, "{}", error);
            Ok(false)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_inputs_are_answered(fed in inputs(&["ids", "mask", "video"], 2)) {
        check(&masked_rows(), &fed)?;
    }

    #[test]
    fn any_rows_are_answered(batch in 0..4_usize, rows in 0..7_usize, ids in prop::collection::vec(-1..6_i64, 28), mask in any::<u32>()) {
        let count = batch * rows;
        let mask = (0..count).map(|place| mask >> place & 1 == 1).collect();
        let fed = [
            ("ids", Literal::i64([batch, rows], ids[..count].to_vec()).expect("counted")),
            ("mask", Literal::bool([batch, rows], mask).expect("counted")),
        ];
        let legal = rows % 2 == 1 && ids[..count].iter().all(|id| (0..5).contains(id));
        prop_assert_eq!(check(&masked_rows(), &fed)?, legal);
    }

    #[test]
    fn any_video_is_answered(sizes in prop::array::uniform5(0..9_usize)) {
        let video = Literal::f32(sizes, vec![0.5; sizes.iter().product()]).expect("counted");
        let answered = check(&resized_video(), &[("video", video)])?;
        let [batch, channels, frames, height, width] = sizes;
        let patches = [batch, frames.div_ceil(2), height / 2 / 2, width / 2 / 2];
        let whole = frames % 2 == 1 && height / 2 % 2 == 0 && width / 2 % 2 == 0;
        prop_assert_eq!(answered, channels == 2 && (whole || patches.contains(&0)));
    }
}
