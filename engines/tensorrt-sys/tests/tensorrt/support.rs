//! What tests of TensorRT share: a small model, a log that remembers, a progress that counts.

use egom2p_onnx_proto::{
    DataLocation, DataType, Dimension, DimensionValue, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use egom2p_tensorrt_sys::{BuildProgress, BuildSettings, InputRange, LogSink, Severity};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Length of the last axis of the model.
pub(crate) const DIM: i64 = 4;

/// `tokens_out = relu(tokens @ weight)` with `tokens` of shape `[batch, tokens, 4]`.
pub(crate) fn model() -> ModelProto {
    let node = |op: &str, name: &str, input: &[&str], output: &str| NodeProto {
        op_type: op.to_owned(),
        name: name.to_owned(),
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    };
    let graph = GraphProto {
        name: "small".to_owned(),
        node: vec![
            node("MatMul", "block.proj", &["tokens", "weight"], "projected"),
            node("Relu", "block.act", &["projected"], "tokens_out"),
        ],
        initializer: vec![weight()],
        input: vec![value("tokens")],
        output: vec![value("tokens_out")],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 19 };
    ModelProto { ir_version: 9, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// The model with its weight in a file of that name beside it.
pub(crate) fn model_with_external(file: &str) -> ModelProto {
    let mut model = model();
    let weight = &mut model.graph.as_mut().unwrap().initializer[0];
    weight.raw_data = None;
    weight.data_location = DataLocation::External as i32;
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.to_owned(), value: value.to_owned() };
    weight.external_data = vec![entry("location", file), entry("offset", "0"), entry("length", "64")];
    model
}

pub(crate) fn weight_bytes() -> Vec<u8> {
    (0..DIM * DIM).flat_map(|i| (i as f32 / 16.0).to_le_bytes()).collect()
}

pub(crate) fn write(folder: &Path, model: &ModelProto) -> PathBuf {
    let path = folder.join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// A profile that the model takes, from no tokens at all.
pub(crate) fn profile(max_tokens: i64) -> Vec<InputRange> {
    vec![InputRange {
        input: "tokens".to_owned(),
        min: vec![1, 0, DIM],
        opt: vec![1, max_tokens / 2, DIM],
        max: vec![2, max_tokens, DIM],
    }]
}

/// Settings that build the model ahead of time.
pub(crate) fn settings() -> BuildSettings {
    BuildSettings { profiles: vec![profile(64)], compute_capabilities: vec![(8, 6)], ..Default::default() }
}

#[derive(Default)]
pub(crate) struct Remembered(pub(crate) Mutex<Vec<(Severity, String)>>);

impl Remembered {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn lines(&self, severity: Severity) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(found, _)| *found == severity).map(|(_, line)| line.clone()).collect()
    }
}

impl LogSink for Remembered {
    fn log(&self, severity: Severity, text: &str) {
        self.0.lock().unwrap().push((severity, text.to_owned()));
    }
}

/// Counts steps, and cancels after some.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) steps: Vec<(String, Option<String>, u32, u32)>,
    pub(crate) cancel_after: Option<usize>,
}

impl BuildProgress for Counted {
    fn step(&mut self, phase: &str, parent: Option<&str>, step: u32, n_steps: u32) -> bool {
        self.steps.push((phase.to_owned(), parent.map(str::to_owned), step, n_steps));
        self.cancel_after.is_none_or(|n_steps| self.steps.len() <= n_steps)
    }
}

fn weight() -> TensorProto {
    TensorProto {
        name: "weight".to_owned(),
        dims: vec![DIM, DIM],
        data_type: DataType::Float as i32,
        raw_data: Some(weight_bytes()),
        ..Default::default()
    }
}

fn value(name: &str) -> ValueInfoProto {
    let named = |name: &str| Some(DimensionValue::DimParam(name.to_owned()));
    let dims = [named("batch"), named("tokens"), Some(DimensionValue::DimValue(DIM))];
    let dim = dims.into_iter().map(|value| Dimension { value, ..Default::default() }).collect();
    let tensor = TensorType { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..Default::default() }
}
