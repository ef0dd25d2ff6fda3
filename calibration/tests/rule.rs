//! The rule on small graphs, line by line.

use egom2p_calibration::{Precision, with_precision};
use egom2p_graph::{AttentionMask, Builder, DType, Dim, Graph, Padding, Value};

fn half(precision: Precision, body: impl for<'g> FnOnce(&'g Builder, Value<'g>) -> Value<'g>) -> String {
    with_precision(&sketch(body), precision).expect("a sound graph").to_string()
}

fn sketch(body: impl for<'g> FnOnce(&'g Builder, Value<'g>) -> Value<'g>) -> Graph {
    let g = Builder::new("sketch");
    let x = g.input("x", DType::F32, [Dim::from("batch"), "rows".into(), 4.into()]);
    let y = body(&g, x).id();
    g.finish([("y", y)]).expect("a sound graph")
}

#[test]
fn a_block_computes_its_products_in_half_and_keeps_its_residual_stream() {
    let listing = half(Precision::Fp16, |g, x| {
        let y = g.enter("block.0", || {
            let h = x.layer_norm("norm", 1e-6, false);
            let h = (h.linear("fc1", 6, true).silu() * h.linear("fc3", 6, false)).linear("fc2", 4, false);
            x + h
        });
        y.layer_norm("norm", 1e-6, false)
    });
    insta::assert_snapshot!(listing, @"
    graph sketch
    %0 = input x() : f32[batch, rows, 4]
    %1 = param block.0.norm.weight() : f32[4]  // block.0.norm
    %2 = layer_norm epsilon 1e-6(%0, %1) : f32[batch, rows, 4]  // block.0.norm
    %3 = param block.0.fc1.weight() : f32[6, 4]  // block.0.fc1
    %4 = param block.0.fc1.bias() : f32[6]  // block.0.fc1
    %5 = cast f16(%2) : f16[batch, rows, 4]  // block.0.fc1
    %6 = cast f16(%3) : f16[6, 4]  // block.0.fc1
    %7 = cast f16(%4) : f16[6]  // block.0.fc1
    %8 = linear(%5, %6, %7) : f16[batch, rows, 6]  // block.0.fc1
    %9 = silu(%8) : f16[batch, rows, 6]  // block.0
    %10 = param block.0.fc3.weight() : f32[6, 4]  // block.0.fc3
    %11 = cast f16(%10) : f16[6, 4]  // block.0.fc3
    %12 = linear(%5, %11) : f16[batch, rows, 6]  // block.0.fc3
    %13 = mul(%9, %12) : f16[batch, rows, 6]  // block.0
    %14 = param block.0.fc2.weight() : f32[4, 6]  // block.0.fc2
    %15 = cast f16(%14) : f16[4, 6]  // block.0.fc2
    %16 = linear(%13, %15) : f16[batch, rows, 4]  // block.0.fc2
    %17 = cast f32(%16) : f32[batch, rows, 4]  // block.0
    %18 = add(%0, %17) : f32[batch, rows, 4]  // block.0
    %19 = param norm.weight() : f32[4]  // norm
    %20 = layer_norm epsilon 1e-6(%18, %19) : f32[batch, rows, 4]  // norm
    output y = %20
    ");
}

#[test]
fn attention_keeps_its_mask_and_views_follow() {
    let listing = half(Precision::Bf16, |g, x| {
        let mask = g.input("mask", DType::Bool, ["batch", "rows"]);
        let qkv = x.linear("qkv", 12, false);
        let parts = [0, 1, 2].map(|part| qkv.slice(2, part * 4, 4));
        let y = g.attention(parts, 2, 0.5, (AttentionMask::Keys, Some(mask)));
        (y + g.param("bias", &[4])).layer_norm("norm", 1e-6, false)
    });
    insta::assert_snapshot!(listing, @"
    graph sketch
    %0 = input x() : f32[batch, rows, 4]
    %1 = input mask() : bool[batch, rows]
    %2 = param qkv.weight() : f32[12, 4]  // qkv
    %3 = cast bf16(%0) : bf16[batch, rows, 4]  // qkv
    %4 = cast bf16(%2) : bf16[12, 4]  // qkv
    %5 = linear(%3, %4) : bf16[batch, rows, 12]  // qkv
    %6 = slice axis 2 [0..4](%5) : bf16[batch, rows, 4]
    %7 = slice axis 2 [4..8](%5) : bf16[batch, rows, 4]
    %8 = slice axis 2 [8..12](%5) : bf16[batch, rows, 4]
    %9 = attention heads 2 scale 0.5 mask keys(%6, %7, %8, %1) : bf16[batch, rows, 4]
    %10 = param bias() : f32[4]
    %11 = cast f32(%9) : f32[batch, rows, 4]
    %12 = add(%11, %10) : f32[batch, rows, 4]
    %13 = param norm.weight() : f32[4]  // norm
    %14 = layer_norm epsilon 1e-6(%12, %13) : f32[batch, rows, 4]  // norm
    output y = %14
    ");
}

#[test]
fn what_is_given_or_searched_stays_single() {
    let given = half(Precision::Fp16, |g, x| {
        let h = x.linear("fc", 4, false).gelu();
        h.linear("out", 4, false).transpose(&[0, 1, 2]) + g.param("offset", &[4])
    });
    insta::assert_snapshot!(given, @"
    graph sketch
    %0 = input x() : f32[batch, rows, 4]
    %1 = param fc.weight() : f32[4, 4]  // fc
    %2 = cast f16(%0) : f16[batch, rows, 4]  // fc
    %3 = cast f16(%1) : f16[4, 4]  // fc
    %4 = linear(%2, %3) : f16[batch, rows, 4]  // fc
    %5 = gelu(%4) : f16[batch, rows, 4]
    %6 = param out.weight() : f32[4, 4]  // out
    %7 = cast f32(%5) : f32[batch, rows, 4]  // out
    %8 = linear(%7, %6) : f32[batch, rows, 4]  // out
    %9 = transpose [0, 1, 2](%8) : f32[batch, rows, 4]
    %10 = param offset() : f32[4]
    %11 = add(%9, %10) : f32[batch, rows, 4]
    output y = %11
    ");
    let searched = half(Precision::Fp16, |g, x| {
        let latents = x.linear("latent", 3, false);
        let codes = g.param("codes", &[5, 3]).l2_normalize(1e-12);
        latents.l2_normalize(1e-12).project(codes, None).arg_max()
    });
    assert!(!searched.contains("f16"), "{searched}");
    // Behind two sums lies the residual stream, which is no longer what the stage gives.
    let stream = half(Precision::Fp16, |_, x| {
        let x = x + x.linear("fc1", 4, false);
        x + x.linear("fc2", 4, false)
    });
    let products: Vec<_> = stream.lines().filter(|line| line.contains("linear")).collect();
    assert!(products[0].contains(": f16[") && products[1].contains(": f32["), "{stream}");
}

#[test]
fn a_parameter_with_other_readers_is_cast_after_its_view() {
    let listing = half(Precision::Fp16, |g, x| {
        let weight = g.param("weight", &[2, 2, 4]);
        let y = x.project(weight.reshape([4_usize, 4]), None);
        let z = y.project(g.param("other", &[4, 4, 1]).reshape([4_usize, 4]), None);
        z.layer_norm("norm", 1e-6, false) + weight.slice(0, 0, 1).reshape([2_usize, 4]).slice(0, 0, 1)
    });
    insta::assert_snapshot!(listing, @"
    graph sketch
    %0 = input x() : f32[batch, rows, 4]
    %1 = param weight() : f32[2, 2, 4]
    %2 = reshape(%1) : f32[4, 4]
    %3 = cast f16(%0) : f16[batch, rows, 4]
    %4 = cast f16(%2) : f16[4, 4]
    %5 = linear(%3, %4) : f16[batch, rows, 4]
    %6 = param other() : f32[4, 4, 1]
    %7 = cast f16(%6) : f16[4, 4, 1]
    %8 = reshape(%7) : f16[4, 4]
    %9 = linear(%5, %8) : f16[batch, rows, 4]
    %10 = param norm.weight() : f32[4]  // norm
    %11 = cast f32(%9) : f32[batch, rows, 4]  // norm
    %12 = layer_norm epsilon 1e-6(%11, %10) : f32[batch, rows, 4]  // norm
    %13 = slice axis 0 [0..1](%1) : f32[1, 2, 4]
    %14 = reshape(%13) : f32[2, 4]
    %15 = slice axis 0 [0..1](%14) : f32[1, 4]
    %16 = add(%12, %15) : f32[batch, rows, 4]
    output y = %16
    ");
}

#[test]
fn a_parameter_that_the_stage_gives_is_cast_after_its_view() {
    let g = Builder::new("sketch");
    let x = g.input("x", DType::F32, ["batch".into(), Dim::from(4)]);
    let weight = g.param("weight", &[4, 2, 2]).reshape([4_usize, 4]);
    let y = x.project(weight, None).layer_norm("norm", 1e-6, false);
    let outputs = [("y", y.id()), ("weight", weight.id())];
    let graph = g.finish(outputs).expect("a sound graph");
    insta::assert_snapshot!(with_precision(&graph, Precision::Fp16).expect("a sound graph"), @"
    graph sketch
    %0 = input x() : f32[batch, 4]
    %1 = param weight() : f32[4, 2, 2]
    %2 = reshape(%1) : f32[4, 4]
    %3 = cast f16(%0) : f16[batch, 4]
    %4 = cast f16(%2) : f16[4, 4]
    %5 = linear(%3, %4) : f16[batch, 4]
    %6 = param norm.weight() : f32[4]  // norm
    %7 = cast f32(%5) : f32[batch, 4]  // norm
    %8 = layer_norm epsilon 1e-6(%7, %6) : f32[batch, 4]  // norm
    output y = %8
    output weight = %2
    ");
}

#[test]
fn sizes_follow_and_pixels_take_the_type_of_their_video() {
    let g = Builder::new("sketch");
    let x = g.input("x", DType::F32, ["batch".into(), Dim::from(8), "frames".into(), 4.into(), 4.into()]);
    let padding = Padding { before: 0, after: 0 };
    let weight = g.param("weight", &[8, 8, 1, 1, 1]);
    let h = x.causal_conv(weight, g.param("bias", &[8]), 1, padding);
    let y = (h.average_pool().upsample_nearest() + h).haar_unpatch(2).id();
    let graph = g.finish([("y", y)]).expect("a sound graph");
    insta::assert_snapshot!(with_precision(&graph, Precision::Fp16).expect("a sound graph"), @"
    graph sketch
    %0 = input x() : f32[batch, 8, frames, 4, 4]
    %1 = param weight() : f32[8, 8, 1, 1, 1]
    %2 = param bias() : f32[8]
    %3 = cast f16(%0) : f16[batch, 8, frames, 4, 4]
    %4 = cast f16(%1) : f16[8, 8, 1, 1, 1]
    %5 = cast f16(%2) : f16[8]
    %6 = causal_conv stride 1 padding 0+0(%3, %4, %5) : f16[batch, 8, frames, 4, 4]
    %7 = average_pool(%6) : f16[batch, 8, frames, 2, 2]
    %8 = upsample_nearest(%7) : f16[batch, 8, frames, 4, 4]
    %9 = add(%8, %6) : f16[batch, 8, frames, 4, 4]
    %10 = cast f32(%9) : f32[batch, 8, frames, 4, 4]
    %11 = haar_unpatch 2(%10) : f32[batch, 1, (2*frames-1), 8, 8]
    output y = %11
    ");
}
