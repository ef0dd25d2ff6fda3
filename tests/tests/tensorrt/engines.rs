//! What is compiled of every stage, and what its record says of it.

use std::collections::BTreeSet;

use egom2p::profiles::default_profiles;
use egom2p_calibration::Precision;
use egom2p_engine_core::{
    Axis, DType, EngineTarget, LayerRecord, TensorSpec,
    onnx::{read_model, tensor_bytes, visit_tensors},
};
use egom2p_engines::{BuildOptions, BuildSummary, Bundle, digest_file};
use egom2p_graph::{Fact, Graph, Op};
use egom2p_model::{Preset, Stage, Variant};
use egom2p_onnx_proto::NodeProto;

use crate::workshop::{Built, CAPABILITIES, Export, Recipe, Workshop, options_for};

/// The bytes of an engine's weights over those of the model's constants: 0.82 to 1.18 was measured, the least where tables
/// are looked up and the most where convolutions are done.
const WEIGHTS_SHARE: std::ops::Range<f64> = 0.8..1.2;

/// Stages whose engines are mostly weights and kernels of products, so that halves make the whole file smaller. In the
/// motion tokenizers of this preset, the kernels for four devices outweigh the weights by far.
const MOSTLY_PRODUCTS: [Stage; 4] = [Stage::VideoEncoder, Stage::VideoDecoder, Stage::Encoder, Stage::Decoder];

/// Stages whose attention becomes one kernel only for some profiles in `fp16`, and for none in `bf16`.
const UNFUSED: [Stage; 2] = [Stage::VideoEncoder, Stage::VideoDecoder];

#[test]
fn slow_every_stage_in_every_precision() {
    let Some(workshop) = Workshop::open() else { return };
    let [single, fp16, bf16] = Precision::ALL.map(|precision| {
        let export = workshop.export(&format!("export-{precision}"), &Recipe::of(&Stage::ALL, precision));
        let options = options_for(&CAPABILITIES);
        let summary = workshop.build(&export, precision.name(), &options);
        assert_eq!((summary.built.len(), summary.unchanged.len()), (export.graphs.len(), 0));
        let again = workshop.build(&export, precision.name(), &options);
        assert!(again.nothing_to_do(), "{precision}");
        print(precision, &summary, &again);
        let bundle = workshop.bundle(precision.name());
        bundle.verify_all().unwrap_or_else(|error| panic!("{error}"));
        check(&workshop, &export, &bundle, &options);
        (export, bundle)
    });
    for (export, bundle) in [&fp16, &bf16] {
        for (stage, variant, graph) in &export.graphs {
            let [single, half] = [&single.1, bundle].map(|bundle| Built::of(bundle, stage.name(), variant.name()));
            compare((*stage, *variant), graph, &single, &half);
            if !UNFUSED.contains(stage) {
                check_fusion(&format!("{stage}.{variant} in {}", half.entry.precision), graph, &half.record.layers);
            }
        }
    }
}

#[test]
fn every_compute_capability_alone() {
    let Some(workshop) = Workshop::open() else { return };
    let export = workshop.export("export", &Recipe::of(&[Stage::GazeDecoder], Precision::Fp16));
    for capability in CAPABILITIES.into_iter().chain(["12.1"]) {
        let options = options_for(&[capability]);
        let summary = workshop.build(&export, capability, &options);
        eprintln!("{capability}: {:.2} s", summary.secs);
        let bundle = workshop.bundle(capability);
        check(&workshop, &export, &bundle, &options);
        let built = Built::of(&bundle, "gaze_decoder", "default");
        check_fusion(capability, &export.graphs[0].2, &built.record.layers);
    }
}

/// Checks every record of a bundle against the graph, the export and the file.
fn check(workshop: &Workshop, export: &Export, bundle: &Bundle, options: &BuildOptions) {
    let library = workshop.backend().check().expect("it was opened").version;
    let config = Preset::Tiny.config();
    for (stage, variant, graph) in &export.graphs {
        let label = format!("{stage}.{variant}");
        let Built { entry, engine, record } = Built::of(bundle, stage.name(), variant.name());
        let (digest, n_bytes) = digest_file(&engine).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((record.engine.blake3, record.engine.bytes), (digest, n_bytes), "{label}");
        assert_eq!((&*record.backend, &record.library), ("tensorrt-rtx", &library), "{label}");
        let target = EngineTarget::ComputeCapabilities(options.compile.compute_capabilities.clone());
        assert_eq!((&record.target, &entry.target), (&target, &target), "{label}");
        assert_eq!((&record.options, &entry.options), (&options.compile, &options.compile), "{label}");
        let outputs = graph.outputs().iter().map(|(name, id)| spec(name, &graph.node(*id).fact));
        assert_eq!(record.inputs, graph.inputs().map(|(name, fact)| spec(name, fact)).collect::<Vec<_>>(), "{label}");
        assert_eq!(record.outputs, outputs.collect::<Vec<_>>(), "{label}");
        let profiles = default_profiles(&config, graph);
        assert_eq!((&record.profiles, &entry.profiles), (&profiles, &profiles), "{label}");
        assert!(record.build_secs.is_some_and(|secs| secs > 0.0) && record.build_peak_bytes.is_some(), "{label}");

        let onnx = entry.onnx.below(bundle.folder());
        let (digest, _) = digest_file(&onnx).unwrap_or_else(|error| panic!("{error}"));
        let exported = export.manifest.stages[stage.name()].iter().find(|exported| exported.name == variant.name());
        let exported = export.manifest.files[&exported.expect("it was exported").onnx];
        assert_eq!((record.onnx, exported.blake3), (Some(digest), digest), "{label}");

        let (mut model, _) = read_model(&onnx).unwrap_or_else(|error| panic!("{error}"));
        let mut constants_bytes = 0;
        visit_tensors(&mut model, &mut |tensor| {
            constants_bytes += tensor_bytes(tensor).expect("a small tensor");
            Ok::<_, std::convert::Infallible>(())
        })
        .expect("nothing fails");
        let weights_bytes = record.memory.weights_bytes.expect("the library tells");
        let share = weights_bytes as f64 / constants_bytes as f64;
        assert!(WEIGHTS_SHARE.contains(&share), "{label}: {weights_bytes} bytes of {constants_bytes}");
        assert!(record.memory.activation_bytes.is_some_and(|n_bytes| n_bytes > 0), "{label}");

        let nodes = model.graph.expect("a model has a graph").node;
        check_layers(&label, &record.layers, &nodes.iter().map(|node| &*node.name).collect());
        // Equal products without weights, such as those that count the same mask, become one.
        let has_weights = |node: &&NodeProto| node.op_type == "Conv" || node.name.ends_with("/linear/MatMul");
        let named: BTreeSet<&str> = record.layers.iter().flat_map(|layer| &layer.nodes).map(String::as_str).collect();
        let mut products = nodes.iter().filter(has_weights).map(|node| &*node.name);
        assert_eq!(products.find(|name| !named.contains(name)), None, "{label}: no layer computes it");

        let tensors = record.layers.iter().flat_map(|layer| layer.inputs.iter().chain(&layer.outputs));
        let halves: BTreeSet<&str> =
            tensors.map(|tensor| &*tensor.dtype).filter(|dtype| ["Half", "BFloat16"].contains(dtype)).collect();
        assert_eq!(halves, halves_of(graph), "{label}");
    }
}

/// Checks that layers say which nodes of the model they compute.
fn check_layers(label: &str, layers: &[LayerRecord], nodes: &BTreeSet<&str>) {
    let named = layers.iter().flat_map(|layer| &layer.nodes);
    let foreign: Vec<_> = named.clone().filter(|name| !nodes.contains(&***name)).take(3).collect();
    assert!(foreign.is_empty(), "{label}: the model has no nodes {foreign:?}");
    assert!(named.count() > 0, "{label}: no layer names a node");
}

/// Checks that every attention is one kernel, which keeps no scores.
fn check_fusion(label: &str, graph: &Graph, layers: &[LayerRecord]) {
    for node in graph.nodes().iter().filter(|node| matches!(node.op, Op::Attention { .. })) {
        let softmax = format!("{}/attention/Softmax", node.scope);
        let mut computing = layers.iter().filter(|layer| layer.nodes.contains(&softmax)).map(|layer| &layer.name);
        assert!(computing.clone().count() > 0, "{label}: no layer computes {softmax}");
        let apart = computing.find(|name| !name.contains("mha"));
        assert_eq!(apart, None, "{label}: {softmax} is not fused");
    }
}

/// Checks that an engine in a half type takes less than the one in single precision.
fn compare((stage, variant): (Stage, Variant), graph: &Graph, single: &Built, half: &Built) {
    let label = format!("{stage}.{variant} in {}", half.entry.precision);
    let sizes = |built: &Built| [built.record.memory.weights_bytes, built.record.memory.activation_bytes];
    if halves_of(graph).is_empty() {
        assert_eq!(sizes(single), sizes(half), "{label}");
        return;
    }
    for (what, (single, half)) in ["weights", "activations"].into_iter().zip(sizes(single).into_iter().zip(sizes(half)))
    {
        assert!(half < single, "{label}: {what} take {half:?} bytes, {single:?} in single precision");
    }
    if MOSTLY_PRODUCTS.contains(&stage) {
        let [single, half] = [single, half].map(|built| built.record.engine.bytes);
        assert!(half < single, "{label}: the engine has {half} bytes, {single} in single precision");
    }
}

/// The half types that a graph computes in, as TensorRT calls them.
fn halves_of(graph: &Graph) -> BTreeSet<&'static str> {
    let names = graph.nodes().iter().filter_map(|node| match node.fact.dtype {
        egom2p_graph::DType::F16 => Some("Half"),
        egom2p_graph::DType::Bf16 => Some("BFloat16"),
        egom2p_graph::DType::F32 | egom2p_graph::DType::I64 | egom2p_graph::DType::Bool => None,
    });
    names.collect()
}

fn spec(name: &str, fact: &Fact) -> TensorSpec {
    let dtype = match fact.dtype {
        egom2p_graph::DType::F32 => DType::F32,
        egom2p_graph::DType::I64 => DType::I64,
        egom2p_graph::DType::Bool => DType::Bool,
        other => panic!("no stage takes or gives {other}"),
    };
    let axis = |dim: &egom2p_graph::Dim| dim.as_fixed().map_or_else(|| Axis::Named(dim.to_string()), Axis::Fixed);
    TensorSpec { name: name.to_owned(), dtype, shape: fact.shape.iter().map(axis).collect() }
}

fn print(precision: Precision, summary: &BuildSummary, again: &BuildSummary) {
    for built in &summary.built {
        let memory = built.memory.clone().unwrap_or_default();
        eprintln!(
            "{precision} {}.{}: {:.2} s, engine {} bytes, weights {:?}, activations {:?}",
            built.stage, built.variant, built.secs, built.own_bytes, memory.weights_bytes, memory.activation_bytes
        );
    }
    eprintln!("{precision}: built in {:.1} s, found built in {:.3} s", summary.secs, again.secs);
}
