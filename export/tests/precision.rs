//! Half precisions: what is stored, what is refused, what a folder says of it.

mod sample;

use std::{collections::BTreeMap, fs, path::Path};

use egom2p_engine_core::Digest;
use egom2p_export::{
    ExportError, ExportReport, ExternalLayout, FolderExport, Opset, StageExport, Target, WeightsExport, export_folder,
    export_graph, list_onnx, write_weights,
};
use egom2p_graph::{Builder, DType, Dim, Graph, ParameterError, Parameters};
use half::{bf16, f16};

const STANDARD: Target = Target::Standard { opset: Opset::V20 };

/// One value everywhere, but for the one at place 3.
struct Spike(f32);

impl Parameters for Spike {
    fn parameter(&self, _: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let mut values = vec![1.0; shape.iter().product()];
        values[3] = self.0;
        Ok(values)
    }
}

fn layout(graph: &Graph) -> ExternalLayout {
    ExternalLayout::new("model.weights", [graph]).expect("small tensors")
}

fn listing(graph: &Graph) -> String {
    list_onnx(&export_graph(graph, STANDARD, &layout(graph)).expect("a sound stage")).expect("what was just written")
}

/// A weights file of `graph`.
fn written(graph: &Graph, parameters: &dyn Parameters) -> Result<Vec<u8>, ExportError> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("model.weights");
    write_weights(&path, &layout(graph), [graph], parameters)?;
    Ok(fs::read(&path).expect("just written"))
}

fn first_line(error: &ExportError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn parameters_are_stored_in_the_types_that_are_read() {
    for (dtype, suffix) in [(DType::F16, "fp16"), (DType::Bf16, "bf16")] {
        let graph = sample::stored(dtype);
        let layout = layout(&graph);
        let names: Vec<&str> = layout.tensors().map(|(name, _)| name).collect();
        let [both, part] = ["both", "part"].map(|name| format!("{name}.{suffix}"));
        assert_eq!(names, ["both", &both, &part, "single", "turned"]);
        for (name, tensor) in layout.tensors() {
            let is_half = name.ends_with(suffix);
            assert_eq!(tensor.dtype, if is_half { dtype } else { DType::F32 });
            assert_eq!(tensor.source, name.trim_end_matches(&format!(".{suffix}")));
            let n_values: usize = tensor.shape.iter().product();
            assert_eq!(tensor.n_bytes, n_values as u64 * if is_half { 2 } else { 4 });
        }
        // What is turned over first is cast where it is used; nothing else is.
        let listing = listing(&graph);
        let start = layout.tensor(&part).expect("laid out").offset_bytes + 2 * 12;
        let stretch = format!("tensor {part}[12..30]: {dtype}[3, 6] in model.weights at {start}, 36 bytes\n");
        assert!(listing.contains(&stretch), "{listing}");
        assert!(listing.contains(&format!("tensor {both}: {dtype}[4, 6]")), "{listing}");
        let casts: Vec<&str> = listing.lines().filter(|line| line.contains("= Cast(")).collect();
        let of_values = casts.iter().filter(|line| line.contains("Cast(x)") || line.contains("MatMul")).count();
        assert_eq!(casts.len() - of_values, 1, "{casts:?}");
    }
}

#[test]
fn values_are_rounded_to_the_nearest_even() {
    for dtype in [DType::F16, DType::Bf16] {
        let graph = sample::stored(dtype);
        let (layout, bytes) = (layout(&graph), written(&graph, &sample::Rule).expect("small values"));
        for (name, tensor) in layout.tensors() {
            let part = &bytes[tensor.offset_bytes as usize..][..tensor.n_bytes as usize];
            let stored: Vec<f32> = match tensor.dtype {
                DType::F16 => part.chunks(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
                DType::Bf16 => part.chunks(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
                DType::F32 => part.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
                DType::I64 | DType::Bool => panic!("no such parameter"),
            };
            let published = sample::Rule.parameter(&tensor.source, &tensor.shape).expect("a rule");
            let expected: Vec<f32> = published.iter().map(|value| tensor.dtype.round(*value)).collect();
            assert_eq!(stored, expected, "{name}");
        }
    }
}

#[test]
fn a_value_beyond_the_range_is_named() {
    let graph = sample::half_block(DType::F16);
    assert!(written(&graph, &Spike(65_519.9)).is_ok(), "it rounds to the largest value");
    assert!(written(&graph, &Spike(f32::INFINITY)).is_ok(), "infinity is a value");
    let error = written(&graph, &Spike(-65_520.0)).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "encoder.0.attn.proj.bias holds -6.552e4 at place 3, which is beyond the range of fp16\n\
         export in precision bf16 or fp32"
    );
    let graph = sample::half_block(DType::Bf16);
    assert!(written(&graph, &Spike(3.38e38)).is_ok());
    let error = written(&graph, &Spike(f32::MAX)).expect_err("too large");
    assert!(error.to_string().ends_with("beyond the range of bf16\nexport in precision fp32"), "{error}");
}

#[test]
fn norms_keep_their_parameters_in_single_precision() {
    let graph = sample::half_block(DType::F16);
    let layout = layout(&graph);
    let single: Vec<&str> =
        layout.tensors().filter(|(_, tensor)| tensor.dtype == DType::F32).map(|(name, _)| name).collect();
    assert_eq!(single, ["encoder.0.norm1.weight", "encoder.0.norm2.bias", "encoder.0.norm2.weight"]);
}

#[test]
fn targets_without_halves_refuse_them() {
    for (dtype, precision) in [(DType::F16, "fp16"), (DType::Bf16, "bf16")] {
        let graph = sample::half_block(dtype);
        let error = export_graph(&graph, Target::OnnxRuntimeCpu, &layout(&graph)).expect_err("single precision only");
        let what = format!(
            "stage block-{dtype} computes in {precision}, but target onnxruntime-cpu has operators of fp32 only\n\
             export with --target standard"
        );
        assert_eq!(error.to_string(), what);
    }
}

#[test]
fn convolutions_of_bf16_need_a_later_operator_set() {
    let graph = sample::half_video(DType::Bf16);
    let export = |opset| export_graph(&graph, Target::Standard { opset }, &layout(&graph));
    for opset in [Opset::V19, Opset::V20] {
        let error = export(opset).expect_err("an operator set without them");
        let what = "stage video-bf16 has haar_patch of bf16 values, which operator set";
        assert!(first_line(&error).starts_with(what), "{error}");
    }
    let listing = list_onnx(&export(Opset::V22).expect("a sound stage")).expect("what was just written");
    assert!(listing.starts_with("onnx ir 10, ai.onnx 22\n"), "{listing}");
    let blocks = sample::half_block(DType::Bf16);
    assert!(export_graph(&blocks, STANDARD, &layout(&blocks)).is_ok(), "products came earlier");
}

#[test]
fn a_name_that_looks_like_a_half_one_is_refused() {
    let g = Builder::new("clash");
    let x = g.input("x", DType::F32, [Dim::from("batch"), 4.into()]);
    let half = x.cast(DType::F16) * g.param("scale", &[4]).cast(DType::F16);
    let id = (half.cast(DType::F32) * g.param("scale.fp16", &[4])).id();
    let graph = g.finish([("y", id)]).expect("a sound stage");
    let error = ExternalLayout::new("model.weights", [&graph]).expect_err("two tensors of one name");
    assert_eq!(first_line(&error), "stage clash: scale.fp16 names two of its inputs, outputs and weights");
}

/// The block in one precision, as a folder.
fn export(folder: &Path, graph: &Graph, precision: &str) -> ExportReport {
    let all = ["encoder.0.attn.qkv.weight".to_owned(), "encoder.0.norm1.weight".to_owned()];
    let stages =
        [StageExport { stage: "block", variant: "default", graph, weights: "model", precision, profiles: Vec::new() }];
    let weights = [WeightsExport {
        name: "model",
        parameters: &sample::Rule,
        digest: Digest::from_bytes([3; 32]),
        all_used: Some(&all),
    }];
    let config = serde_json::json!({ "dim": 8 });
    let export = FolderExport { target: STANDARD, preset: None, config, stages: &stages, weights: &weights };
    export_folder(folder, &export).expect("written")
}

fn names(files: &[egom2p_engine_core::RelativePath]) -> Vec<&str> {
    let mut names: Vec<_> = files.iter().map(egom2p_engine_core::RelativePath::as_str).collect();
    names.sort_unstable();
    names
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).expect("a file"))).collect()
}

#[test]
fn another_precision_in_the_same_folder_rewrites_what_it_must() {
    const ALL: [&str; 4] = ["block.onnx", "export.inputs.json", "export.json", "model.weights"];
    // Inputs and parameters are the same, so that nothing but the precision tells the exports apart.
    let graphs = [sample::half_block(DType::F32), sample::half_block(DType::F16), sample::half_block(DType::Bf16)];
    let precisions = ["fp32", "fp16", "bf16"];
    let [folder, fresh] = [(); 2].map(|()| tempfile::tempdir().expect("a folder for temporary files"));
    let mut digests = Vec::new();
    for (graph, precision) in graphs.iter().zip(precisions) {
        let report = export(folder.path(), graph, precision);
        assert_eq!(names(&report.written), ALL);
        let variant = &report.manifest.stages["block"][0];
        assert_eq!(variant.precision, precision);
        assert_eq!(report.manifest.files.len(), 2);
        for (name, entry) in &report.manifest.files {
            let bytes = fs::read(name.below(folder.path())).expect("listed");
            assert_eq!((bytes.len() as u64, blake3::hash(&bytes).as_bytes()), (entry.bytes, entry.blake3.as_bytes()));
        }
        digests.extend([variant.graph_digest, variant.weights_digest]);

        let again = export(folder.path(), graph, precision);
        assert_eq!((names(&again.written), names(&again.unchanged)), (vec![], ALL.to_vec()));
        // The folder is the one that a first export gives, but for the times in the record.
        export(&fresh.path().join(precision), graph, precision);
        for (name, bytes) in contents(&fresh.path().join(precision)) {
            assert!(name == "export.inputs.json" || contents(folder.path())[&name] == bytes, "{precision} {name}");
        }
    }
    let n_digests = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), n_digests, "every precision has digests of its own");
}
