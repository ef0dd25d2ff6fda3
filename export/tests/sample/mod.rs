//! Small stages that together hold every operation, and weights for them.

#![allow(dead_code, reason = "every test file compiles this module for itself and uses a part of it")]

use egom2p_graph::{
    AttentionMask, Builder, DType, Dim, Graph, Literal, NodeId, Padding, ParameterError, Parameters, Value,
};

/// Weights that follow from their names.
pub(crate) struct Rule;

impl Parameters for Rule {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let seed = name.bytes().fold(1_usize, |seed, byte| (seed * 31 + usize::from(byte)) % 1009);
        Ok((0..shape.iter().product()).map(|index: usize| ((index + seed) * 37 % 101) as f32 / 50.0 - 1.0).collect())
    }
}

fn sequence(features: usize) -> [Dim; 3] {
    ["batch".into(), "visible".into(), features.into()]
}

fn finish<const N: usize>(g: Builder, outputs: [(&'static str, NodeId); N]) -> Graph {
    g.finish(outputs).expect("a sound stage")
}

/// One pre-norm block with a gated MLP, as in the model's encoder.
pub(crate) fn block() -> Graph {
    let g = Builder::new("block");
    let x = g.input("x", DType::F32, sequence(8));
    let y = g.enter("encoder.0", || {
        let h = x.layer_norm("norm1", 1e-6, false);
        let x = x + g.enter("attn", || {
            let qkv = h.linear("qkv", 24, false);
            let parts = [0, 1, 2].map(|part| qkv.slice(2, part * 8, 8));
            g.attention(parts, 2, 0.5, (AttentionMask::None, None)).linear("proj", 8, true)
        });
        let h = x.layer_norm("norm2", 1e-6, true);
        x + g.enter("mlp", || (h.linear("fc1", 6, false).silu() * h.linear("fc3", 6, false)).linear("fc2", 8, false))
    });
    let y = y.id();
    finish(g, [("context", y)])
}

/// Attention under every kind of mask.
pub(crate) fn masks() -> Graph {
    let g = Builder::new("masks");
    let q = g.input("q", DType::F32, [Dim::from("batch"), "queries".into(), 8.into()]);
    let kv = g.input("kv", DType::F32, sequence(8));
    let keys = g.input("keys", DType::Bool, ["batch", "visible"]);
    let pairs = g.input("pairs", DType::Bool, ["batch", "queries", "visible"]);
    let by_key = g.enter("by_key", || g.attention([q, kv, kv], 2, 0.5, (AttentionMask::Keys, Some(keys))));
    let by_pair = g.enter("by_pair", || g.attention([q, kv, kv], 2, 0.5, (AttentionMask::Pairs, Some(pairs))));
    let causal = g.enter("causal", || g.causal_attention([kv, kv, kv], 2, 0.5));
    let outputs = [("by_key", by_key.id()), ("by_pair", by_pair.id()), ("causal", causal.id())];
    finish(g, outputs)
}

/// Embeddings of rows that are chosen by their kind, and a search for the nearest code.
pub(crate) fn rows() -> Graph {
    let g = Builder::new("rows");
    let tokens = g.input("tokens", DType::I64, ["batch", "visible"]);
    let kind = g.input("kind", DType::I64, ["batch", "visible"]);
    let used = g.input("used", DType::Bool, ["batch", "visible"]);
    let own = kind.equal(g.integer(1)).and(used);
    let ids = g.choose(own, tokens, g.integer(0));
    let x = g.enter("table", || g.param("weight", &[5, 8])).embedding(ids) + g.param("mask_token", &[1, 1, 8]);
    let x = x.gelu() * g.constant(Literal::scalar_f32(0.5)) - x.tanh();
    let nearest = x.l2_normalize(1e-12).project(g.param("codes", &[6, 8]).l2_normalize(1e-12), None).arg_max();
    let split = x.reshape([Dim::from("batch"), "visible".into(), 2.into(), 4.into()]).transpose(&[0, 2, 1, 3]);
    let flag = g.choose(own, used, own);
    let outputs = [("nearest", nearest.id()), ("split", split.id()), ("flag", flag.id())];
    finish(g, outputs)
}

/// A small video encoder: patches, factorised convolutions, resampling and quantisation.
pub(crate) fn video() -> Graph {
    let g = Builder::new("video");
    g.require("frames", 2, 1);
    g.require("height", 8, 8);
    g.require("width", 8, 8);
    let shape = [Dim::from("batch"), 3.into(), "frames".into(), "height".into(), "width".into()];
    let x = g.input("video", DType::F32, shape).haar_patch(2);
    let x = g.enter("encoder", || {
        let x = conv(&g, x, "conv_in.0", [6, 24], [1, 3, 3]);
        let h = g.enter("norm", || x.frame_norm(1e-6, g.param("weight", &[6]), g.param("bias", &[6]))).silu();
        let x = x + conv(&g, h, "conv_in.1", [6, 6], [3, 1, 1]);
        let strided = g.enter("down", || {
            let padding = Padding { before: 0, after: 1 };
            x.causal_conv(g.param("weight", &[6, 6, 1, 3, 3]), g.param("bias", &[6]), 2, padding)
        });
        conv(&g, strided + x.average_pool(), "out", [3, 6], [1, 1, 1])
    });
    let id = x.fsq_quantize(&[8, 5, 5]).id();
    finish(g, [("tokens", id)])
}

/// A small video decoder, with a convolution over space and time at once.
pub(crate) fn frames() -> Graph {
    let g = Builder::new("frames");
    let x = g.input("tokens", DType::I64, ["batch", "t", "h", "w"]).fsq_dequantize(&[8, 5, 5]);
    let x = conv(&g, x, "in", [24, 3], [3, 3, 3]).upsample_nearest();
    let id = x.haar_unpatch(2).id();
    finish(g, [("video", id)])
}

/// A convolution that is large enough for another algorithm.
pub(crate) fn wide() -> Graph {
    let g = Builder::new("wide");
    let shape = [Dim::from("batch"), 128.into(), "frames".into(), "height".into(), "width".into()];
    let x = g.input("x", DType::F32, shape);
    let x = conv(&g, conv(&g, x, "a", [256, 128], [1, 3, 3]), "b", [128, 256], [1, 3, 3]);
    let id = x.id();
    finish(g, [("y", id)])
}

/// Outputs that are not results of nodes, twice the same result, an input that nothing reads, parts of parameters.
pub(crate) fn corners() -> Graph {
    let g = Builder::new("corners");
    let x = g.input("x", DType::F32, [Dim::from("batch"), 3.into()]);
    g.input("unused", DType::Bool, ["batch"]);
    let table = g.param("table", &[4, 6]);
    let large = (0..400).map(|index| index as f32).collect();
    let large = g.constant(Literal::f32([400], large).expect("counted"));
    let sum = x + x;
    let _ = x * x;
    let outputs = [
        ("input", x),
        ("parameter", table),
        ("part", table.slice(0, 1, 2).reshape([3_usize, 4])),
        ("constant", large),
        ("sum", sum),
        ("again", sum),
        ("twice", sum + sum),
    ];
    let outputs = outputs.map(|(name, value): (_, Value<'_>)| (name, value.id()));
    finish(g, outputs)
}

/// The block in a half precision, as automatic mixed precision computes it: norms, softmax and the sums of the residual
/// stream in single precision, products and activations in halves.
pub(crate) fn half_block(dtype: DType) -> Graph {
    let g = Builder::new(format!("block-{dtype}"));
    let half = |name: &str, shape: &[usize]| g.param(name, shape).cast(dtype);
    let x = g.input("x", DType::F32, sequence(8));
    let keys = g.input("keys", DType::Bool, ["batch", "visible"]);
    let y = g.enter("encoder.0", || {
        let h = x.layer_norm("norm1", 1e-6, false).cast(dtype);
        let x = x + g.enter("attn", || {
            let qkv = h.project(half("qkv.weight", &[24, 8]), None);
            let parts = [0, 1, 2].map(|part| qkv.slice(2, part * 8, 8));
            let y = g.attention(parts, 2, 0.4, (AttentionMask::Keys, Some(keys)));
            y.project(half("proj.weight", &[8, 8]), Some(half("proj.bias", &[8]))).cast(DType::F32)
        });
        let h = x.layer_norm("norm2", 1e-6, true).cast(dtype);
        x + g.enter("mlp", || {
            let gate = h.project(half("fc1.weight", &[6, 8]), None).silu();
            let values = h.project(half("fc3.weight", &[6, 8]), None).gelu();
            (gate * values).project(half("fc2.weight", &[8, 6]), None).cast(DType::F32)
        })
    });
    let y = y.id();
    finish(g, [("context", y)])
}

/// Every operation of the video tokenizers in a half precision.
pub(crate) fn half_video(dtype: DType) -> Graph {
    let g = Builder::new(format!("video-{dtype}"));
    g.require("frames", 2, 1);
    g.require("height", 4, 4);
    g.require("width", 4, 4);
    let shape = [Dim::from("batch"), 3.into(), "frames".into(), "height".into(), "width".into()];
    let x = g.input("video", DType::F32, shape).cast(dtype).haar_patch(2);
    let space = half_conv(&g, x, dtype, "space", [1, 3, 3]);
    let norm = g.enter("norm", || {
        let single = space.cast(DType::F32);
        single.frame_norm(1e-6, g.param("weight", &[24]), g.param("bias", &[24])).silu().cast(dtype)
    });
    let time = half_conv(&g, norm, dtype, "time", [3, 1, 1]).average_pool().tanh();
    let both = half_conv(&g, time, dtype, "both", [3, 3, 3]).upsample_nearest().cast(DType::F32).id();
    let axes = [Dim::from("batch"), 24.into(), "t".into(), "h".into(), "w".into()];
    let id = g.input("bands", DType::F32, axes).cast(dtype).haar_unpatch(2).cast(DType::F32).id();
    finish(g, [("features", both), ("again", id)])
}

/// Parameters in one type, in the other and in both, in whole and in parts.
pub(crate) fn stored(dtype: DType) -> Graph {
    let g = Builder::new(format!("stored-{dtype}"));
    let x = g.input("x", DType::F32, [Dim::from("batch"), 6.into()]);
    let both = g.param("both", &[4, 6]);
    let part = g.param("part", &[6, 2, 3]).reshape([6_usize, 6]).slice(0, 2, 3).cast(dtype).reshape([3_usize, 6]);
    let turned = g.param("turned", &[6, 5]).transpose(&[1, 0]).cast(dtype);
    let half = x.cast(dtype);
    let again = g.param("single", &[6]).cast(DType::F32);
    let outputs = [
        ("by_single", x.project(both, None) + x.project(both, None)),
        ("by_half", half.project(both.cast(dtype), None).cast(DType::F32)),
        ("by_part", half.project(part, None).cast(DType::F32)),
        ("by_turned", half.project(turned, None).cast(DType::F32)),
        ("with_single", x + again),
    ];
    let outputs = outputs.map(|(name, value): (_, Value<'_>)| (name, value.id()));
    finish(g, outputs)
}

/// Every sample.
pub(crate) fn all() -> Vec<Graph> {
    vec![block(), masks(), rows(), video(), frames(), wide(), corners()]
}

fn half_conv<'g>(g: &'g Builder, x: Value<'g>, dtype: DType, name: &str, kernel: [usize; 3]) -> Value<'g> {
    let side = (kernel[1] - 1) / 2;
    g.enter(name, || {
        let weight = g.param("weight", &[24, 24, kernel[0], kernel[1], kernel[2]]).cast(dtype);
        x.causal_conv(weight, g.param("bias", &[24]).cast(dtype), 1, Padding { before: side, after: side })
    })
}

fn conv<'g>(g: &'g Builder, x: Value<'g>, name: &str, [n_out, n_in]: [usize; 2], kernel: [usize; 3]) -> Value<'g> {
    let side = (kernel[1] - 1) / 2;
    g.enter(name, || {
        let weight = g.param("weight", &[n_out, n_in, kernel[0], kernel[1], kernel[2]]);
        x.causal_conv(weight, g.param("bias", &[n_out]), 1, Padding { before: side, after: side })
    })
}
