//! Every stage of every preset in every precision: what changes, and what must not.

use std::collections::BTreeSet;

use egom2p_calibration::{Precision, with_precision};
use egom2p_graph::{DType, Graph, Node, Op};
use egom2p_model::{Preset, Stage, stage_graph};

const HALVES: [Precision; 2] = [Precision::Fp16, Precision::Bf16];

/// The places of the products that stay in `f32`.
fn kept(stage: Stage) -> &'static [&'static str] {
    match stage {
        Stage::VideoEncoder => &["quant_conv.conv3d"],
        Stage::CameraEncoder | Stage::GazeEncoder => &["quant_proj", ""],
        Stage::CameraDecoder | Stage::GazeDecoder => &["decoder.out_proj"],
        Stage::Encoder => &["decoder_proj_context"],
        Stage::VideoDecoder | Stage::Decoder => &[],
        Stage::HeadCamera => &["decoder_embeddings.tok_cam.token_emb"],
        Stage::HeadDepth => &["decoder_embeddings.tok_depth.token_emb"],
        Stage::HeadGaze => &["decoder_embeddings.tok_gaze.token_emb"],
        Stage::HeadRgb => &["decoder_embeddings.tok_rgb.token_emb"],
    }
}

fn is_head(stage: Stage) -> bool {
    matches!(stage, Stage::HeadCamera | Stage::HeadDepth | Stage::HeadGaze | Stage::HeadRgb)
}

fn is_product(op: &Op) -> bool {
    matches!(op, Op::Linear { .. } | Op::CausalConv { .. } | Op::Attention { .. })
}

fn is_cast(node: &Node) -> bool {
    matches!(node.op, Op::Cast { .. })
}

/// Runs `check` on every stage as it is and in a half precision, with a name for messages.
fn every_stage(check: impl Fn(&str, Stage, Precision, &Graph, &Graph)) {
    for preset in Preset::ALL {
        let config = preset.config();
        let variants = Stage::ALL.into_iter().flat_map(|stage| stage.variants().iter().map(move |&form| (stage, form)));
        for (stage, variant) in variants {
            let single = stage_graph(&config, stage, variant).expect("a sound stage");
            for precision in HALVES {
                let name = format!("{preset} {stage} {variant} {precision}");
                let half = with_precision(&single, precision).unwrap_or_else(|error| panic!("{name}: {error}"));
                check(&name, stage, precision, &single, &half);
            }
        }
    }
}

#[test]
fn the_contract_stays() {
    every_stage(|name, _, _, single, half| {
        assert_eq!(half.name(), single.name(), "{name}");
        assert_eq!(half.rules(), single.rules(), "{name}");
        assert!(half.inputs().eq(single.inputs()), "{name}");
        assert!(half.params().eq(single.params()), "{name}");
        let outputs = |graph: &Graph| {
            let fact = |id| graph.node(id).fact.clone();
            graph.outputs().iter().map(|(output, id)| (*output, fact(*id))).collect::<Vec<_>>()
        };
        assert_eq!(outputs(half), outputs(single), "{name}");
    });
}

#[test]
fn without_its_casts_a_graph_is_what_it_was() {
    every_stage(|name, _, _, single, half| {
        let rest: Vec<_> = half.nodes().iter().filter(|&node| !is_cast(node)).collect();
        assert_eq!(rest.len(), single.nodes().len(), "{name}");
        // What a node of the new graph reads, casts taken away, by its position among the rest.
        let position = |mut index: usize| {
            while is_cast(&half.nodes()[index]) {
                index = half.nodes()[index].inputs[0].index();
            }
            half.nodes()[..index].iter().filter(|&node| !is_cast(node)).count()
        };
        for (new, old) in rest.iter().zip(single.nodes()) {
            assert_eq!((&new.op, &new.scope, &new.fact.shape), (&old.op, &old.scope, &old.fact.shape), "{name}");
            let inputs = |node: &Node| node.inputs.iter().map(|input| input.index()).collect::<Vec<_>>();
            assert_eq!(inputs(new).into_iter().map(position).collect::<Vec<_>>(), inputs(old), "{name}: {}", old.scope);
        }
    });
}

#[test]
fn products_are_half_but_for_the_named_ones() {
    every_stage(|name, stage, precision, single, half| {
        let products = || half.nodes().iter().filter(|node| is_product(&node.op));
        let in_single: Vec<_> = products().filter(|node| node.fact.dtype == DType::F32).collect();
        let places: Vec<_> = in_single.iter().map(|node| node.scope.as_str()).collect();
        assert_eq!(places, kept(stage), "{name}");
        let n_half = products().filter(|node| node.fact.dtype == precision.dtype()).count();
        assert_eq!(n_half, products().count() - kept(stage).len(), "{name}");
        // A head is one product, whose result the stage gives.
        assert_eq!(n_half == 0, is_head(stage), "{name}");
        assert_eq!(half == single, is_head(stage), "{name}");
        for node in products() {
            for input in &node.inputs {
                let read = half.node(*input).fact.dtype;
                assert!(read == node.fact.dtype || read == DType::Bool, "{name}: {} reads {read}", node.scope);
            }
        }
    });
}

#[test]
fn norms_searches_and_the_residual_stream_of_transformers_are_single() {
    every_stage(|name, stage, _, _, half| {
        for node in half.nodes() {
            let reads: Vec<_> = node.inputs.iter().map(|input| half.node(*input).fact.dtype).collect();
            let is_single = match &node.op {
                Op::LayerNorm { .. }
                | Op::FrameNorm { .. }
                | Op::L2Normalize { .. }
                | Op::ArgMax
                | Op::FsqQuantize { .. }
                | Op::HaarPatch { .. }
                | Op::HaarUnpatch { .. } => reads.iter().all(|dtype| *dtype == DType::F32),
                Op::Embedding => reads[0] == DType::F32,
                Op::Add if !matches!(stage, Stage::VideoEncoder | Stage::VideoDecoder) => node.fact.dtype == DType::F32,
                _ => true,
            };
            assert!(is_single, "{name}: {}: {} reads {reads:?}", node.scope, node.op);
        }
    });
}

#[test]
fn casts_change_something_once_and_parameters_are_cast_where_they_stand() {
    every_stage(|name, _, precision, _, half| {
        let mut seen = BTreeSet::new();
        let mut n_stored = 0;
        for node in half.nodes().iter().filter(|&node| is_cast(node)) {
            let read = half.node(node.inputs[0]);
            assert_ne!(read.fact.dtype, node.fact.dtype, "{name}: {}: a cast that changes nothing", node.scope);
            assert!(!is_cast(read), "{name}: {}: a cast of a cast", node.scope);
            assert!(seen.insert((node.inputs[0], node.fact.dtype)), "{name}: {}: the same cast twice", node.scope);
            n_stored += usize::from(matches!(read.op, Op::Param { .. }));
            let is_view = matches!(read.op, Op::Reshape | Op::Transpose { .. } | Op::Slice { .. });
            let views_param = is_view && matches!(half.node(read.inputs[0]).op, Op::Param { .. });
            assert!(!views_param, "{name}: {}: a cast of a view of a parameter", node.scope);
        }
        // Weights and biases of half products, every one of them a parameter.
        let products = half.nodes().iter().filter(|node| node.fact.dtype == precision.dtype());
        let n_read: usize = products
            .map(|node| if is_product(&node.op) && !is_attention(&node.op) { node.inputs.len() - 1 } else { 0 })
            .sum();
        assert_eq!(n_stored, n_read, "{name}");
    });
}

fn is_attention(op: &Op) -> bool {
    matches!(op, Op::Attention { .. })
}

#[test]
fn a_graph_that_says_where_it_is_half_is_left_alone() {
    every_stage(|name, _, precision, single, half| {
        assert_eq!(with_precision(half, precision).as_ref(), Ok(half), "{name}");
        assert_eq!(with_precision(half, Precision::Fp32).as_ref(), Ok(half), "{name}");
        assert_eq!(with_precision(single, Precision::Fp32).as_ref(), Ok(single), "{name}");
    });
}
