//! Every stage of the smallest preset in half precision: what is written, and that ONNX Runtime takes it.

use egom2p_calibration::{Precision, with_precision};
use egom2p_export::{ExternalLayout, ExternalTensor, Opset, Target, export_graph, list_onnx};
use egom2p_graph::Graph;
use egom2p_model::{Preset, Stage, Variant, stage_graph};
use egom2p_onnx_proto::{DataLocation, DataType, TensorProto, decode_model};
use egom2p_tests::{backends::ExportedToOnnxRuntime, goldens::ReproducibleParameters};

/// Every variant of every stage.
fn stages(precision: Precision) -> impl Iterator<Item = (Stage, Variant, Graph)> {
    let config = Preset::Tiny.config();
    let variants =
        Stage::ALL.into_iter().flat_map(|stage| stage.variants().iter().map(move |variant| (stage, *variant)));
    variants.map(move |(stage, variant)| {
        let graph = stage_graph(&config, stage, variant).expect("a sound stage");
        (stage, variant, with_precision(&graph, precision).expect("a sound stage"))
    })
}

fn layout(graph: &Graph) -> ExternalLayout {
    ExternalLayout::new("model.weights", [graph]).expect("small tensors")
}

/// Bytes of the tensors themselves, without what lies between them.
fn tensor_bytes(layout: &ExternalLayout) -> u64 {
    layout.tensors().map(|(_, tensor)| tensor.n_bytes).sum()
}

#[test]
fn every_stage_stores_what_it_reads() {
    let opsets = [(Precision::Fp16, vec![Opset::V19, Opset::V20, Opset::V22]), (Precision::Bf16, vec![Opset::V22])];
    for (precision, opsets) in opsets {
        let element = if precision == Precision::Fp16 { DataType::Float16 } else { DataType::Bfloat16 };
        for (stage, variant, graph) in stages(precision) {
            let layout = layout(&graph);
            for opset in &opsets {
                let bytes = export_graph(&graph, Target::Standard { opset: *opset }, &layout).expect("a sound stage");
                let model = decode_model(&bytes).unwrap_or_else(|error| panic!("{stage} {variant}: {error}"));
                let onnx = model.graph.expect("a model has a graph");
                let external = |tensor: &&TensorProto| tensor.data_location == DataLocation::External as i32;
                for tensor in onnx.initializer.iter().filter(external) {
                    let is_half = tensor.data_type == element as i32;
                    let suffix = format!(".{precision}");
                    let name = tensor.name.split('[').next().unwrap_or_default();
                    assert_eq!(name.ends_with(&suffix), is_half, "{stage} {variant}: {name}");
                }
                // A parameter that is cast at run time would lie in the file in single precision.
                let casts = onnx.node.iter().filter(|node| node.op_type == "Cast");
                let of_weights = casts.filter(|node| onnx.initializer.iter().any(|w| node.input.contains(&w.name)));
                assert_eq!(of_weights.count(), 0, "{stage} {variant} casts weights");
            }
        }
    }
}

#[test]
fn weights_of_products_take_half_the_bytes() {
    for precision in [Precision::Fp16, Precision::Bf16] {
        for ((stage, variant, single), (.., half)) in stages(Precision::Fp32).zip(stages(precision)) {
            let (single, half) = (layout(&single), layout(&half));
            let halved: u64 = half.tensors().filter(|(_, t)| t.dtype.is_half()).map(|(_, t)| t.n_bytes).sum();
            assert_eq!(tensor_bytes(&single), tensor_bytes(&half) + halved, "{stage} {variant}");
            // Heads give what they compute, so that all of it stays in single precision. Elsewhere embeddings do.
            let is_matrix = |tensor: &ExternalTensor| tensor.shape.len() > 1 && tensor.source.ends_with(".weight");
            let matrices: u64 = single.tensors().filter(|(_, t)| is_matrix(t)).map(|(_, t)| t.n_bytes).sum();
            if stage.name().starts_with("head_") {
                assert_eq!(halved, 0, "{stage}");
            } else {
                assert!(8 * halved > 3 * matrices, "{stage} {variant}: {halved} bytes of {matrices}");
            }
        }
    }
}

/// What ONNX Runtime shows of `fp16` thus holds for `bf16`, which it cannot compute.
#[test]
fn bf16_is_exported_as_fp16_but_for_the_types() {
    let listing = |graph: &Graph| {
        let model = export_graph(graph, Target::Standard { opset: Opset::V22 }, &layout(graph)).expect("a sound stage");
        list_onnx(&model).expect("what was just written")
    };
    for ((stage, variant, fp16), (.., bf16)) in stages(Precision::Fp16).zip(stages(Precision::Bf16)) {
        let mut expected = listing(&fp16);
        for (from, to) in [("f16", "bf16"), ("fp16", "bf16"), ("to=10\n", "to=16\n"), ("to=10 ", "to=16 ")] {
            expected = expected.replace(from, to);
        }
        let actual = listing(&bf16);
        let first = expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
        assert_eq!(first, None, "{stage} {variant}");
        assert_eq!(expected.len(), actual.len(), "{stage} {variant}");
    }
}

#[test]
fn onnxruntime_takes_every_stage_in_fp16() {
    let Some(backend) = ExportedToOnnxRuntime::open(Target::Standard { opset: Opset::V20 }) else { return };
    let [_, video_side, _] = Preset::Tiny.config().video.grid();
    for (stage, variant, graph) in stages(Precision::Fp16) {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let parameters = ReproducibleParameters { part: stage.weights_file(), seed: 1, video_side };
        let engine = backend.engine(folder.path(), &graph, &parameters);
        let engine = engine.unwrap_or_else(|error| panic!("{stage} {variant}: {error}"));
        assert!(engine.session(&egom2p_engine_core::SessionOptions::default()).is_ok(), "{stage} {variant}");
    }
}
