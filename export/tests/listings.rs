//! What every sample stage becomes, for each target.

mod sample;

use egom2p_export::{ExternalLayout, Opset, Target, export_graph, list_onnx};
use egom2p_graph::{Builder, DType, Graph};

const STANDARD: Target = Target::Standard { opset: Opset::V20 };

fn onnx(graph: &Graph, target: Target) -> Vec<u8> {
    let layout = ExternalLayout::new("model.weights", [graph]).expect("small tensors");
    export_graph(graph, target, &layout).expect("a sound stage")
}

fn listing(graph: &Graph, target: Target) -> String {
    list_onnx(&onnx(graph, target)).expect("what was just written")
}

#[test]
fn stages_become_readable_models() {
    for graph in sample::all() {
        for target in [Target::OnnxRuntimeCpu, STANDARD] {
            insta::assert_snapshot!(format!("{}-{target}", graph.name()), listing(&graph, target));
        }
    }
}

#[test]
fn a_block_in_halves_casts_no_weights() {
    let graph = sample::half_block(DType::F16);
    let listing = listing(&graph, STANDARD);
    insta::assert_snapshot!(format!("{}-{STANDARD}", graph.name()), &listing);
    assert!(listing.contains("tensor encoder.0.attn.qkv.weight.fp16: f16[24, 8] in"), "{listing}");
    assert!(!listing.lines().any(|line| line.contains("= Cast(") && line.contains("weight")), "{listing}");
}

#[test]
fn the_standard_target_uses_nothing_else() {
    for graph in sample::all() {
        for opset in [Opset::V19, Opset::V20, Opset::V22] {
            let listing = listing(&graph, Target::Standard { opset });
            assert!(!listing.contains("::"), "{listing}");
        }
    }
    assert!(listing(&sample::rows(), STANDARD).contains("= Gelu("));
    assert!(!listing(&sample::rows(), Target::Standard { opset: Opset::V19 }).contains("= Gelu("));
}

#[test]
fn the_same_stage_gives_the_same_bytes() {
    for graph in sample::all() {
        for target in [Target::OnnxRuntimeCpu, STANDARD] {
            assert_eq!(onnx(&graph, target), onnx(&graph, target));
        }
    }
}

#[test]
fn one_name_for_two_things_is_refused() {
    let g = Builder::new("clash");
    let x = g.input("tokens", DType::I64, ["batch"]).id();
    let graph = g.finish([("tokens", x)]).expect("a sound stage");
    let layout = ExternalLayout::new("model.weights", [&graph]).expect("no tensors");
    let error = export_graph(&graph, STANDARD, &layout).expect_err("one name space");
    let what = "stage clash: tokens names two of its inputs, outputs and weights";
    assert_eq!(error.to_string().lines().next(), Some(what));
}

#[test]
fn a_stage_needs_a_layout_that_holds_its_weights() {
    let other = sample::video();
    let layout = ExternalLayout::new("model.weights", [&other]).expect("small tensors");
    let error = export_graph(&sample::block(), STANDARD, &layout).expect_err("other weights");
    let what = "stage block needs encoder.0.norm1.weight, which model.weights does not hold";
    assert_eq!(error.to_string().lines().next(), Some(what));
}

#[test]
fn what_is_no_model_has_no_listing() {
    let model = onnx(&sample::block(), STANDARD);
    assert!(list_onnx(&model[..model.len() - 1]).is_err());
    assert!(list_onnx(b"").is_err());
    assert!(list_onnx(b"not a model").is_err());
    // Cut or changed bytes give an error or another listing, never a panic.
    for at in 0..model.len() {
        let mut damaged = model.clone();
        damaged[at] ^= 0x5a;
        let _ = list_onnx(&damaged);
        let _ = list_onnx(&model[..at]);
    }
}
