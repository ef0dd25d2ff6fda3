//! Small ONNX models made by hand.

use egom2p_onnx_proto::{
    DataLocation, DataType, Dimension, DimensionValue, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use std::path::Path;

pub(crate) const WIDTH: usize = 8;
pub(crate) const HIDDEN: usize = 48;
pub(crate) const WEIGHTS: &str = "weights.bin";

/// `y = x w + bias` as nodes of `block.0`, with `x` f32 [batch, visible, 8], `w` [8, 48] in a file and `bias` [48] not.
pub(crate) fn model() -> ModelProto {
    let graph = GraphProto {
        name: "test".to_owned(),
        node: vec![
            node("block.0/linear/MatMul", "MatMul", &["x", "w"], "product"),
            node("block.0/linear/Add", "Add", &["product", "bias"], "y"),
        ],
        initializer: vec![
            external("w", WEIGHTS, WIDTH * HIDDEN * 4),
            TensorProto {
                name: "bias".to_owned(),
                data_type: DataType::Float.into(),
                dims: vec![HIDDEN as i64],
                raw_data: Some((0..HIDDEN).flat_map(|i| (i as f32).to_le_bytes()).collect()),
                ..Default::default()
            },
        ],
        input: vec![value("x", &["batch", "visible", "8"])],
        output: vec![value("y", &["batch", "visible", "48"])],
        ..Default::default()
    };
    ModelProto {
        ir_version: 10,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 20 }],
        graph: Some(graph),
        ..Default::default()
    }
}

/// The model with a change to its graph.
pub(crate) fn changed(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let mut model = model();
    change(model.graph.as_mut().expect("the model has a graph"));
    model
}

/// Writes a model and its weights into the folder `onnx` of a bundle.
pub(crate) fn write(bundle: &Path, model: &ModelProto) {
    let folder = bundle.join("onnx");
    std::fs::create_dir_all(&folder).expect("a temporary folder can be written");
    std::fs::write(folder.join("test.onnx"), model.encode_to_vec()).expect("a file can be written");
    let weights: Vec<u8> = (0..WIDTH * HIDDEN).flat_map(|i| (i as f32 / 64.0).to_le_bytes()).collect();
    std::fs::write(folder.join(WEIGHTS), weights).expect("a file can be written");
}

pub(crate) fn node(name: &str, op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: name.to_owned(),
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

/// A float value; axes are numbers, names, or empty where nothing is known.
pub(crate) fn value(name: &str, shape: &[&str]) -> ValueInfoProto {
    let axis = |text: &&str| match text.parse() {
        Ok(length) => Some(DimensionValue::DimValue(length)),
        Err(_) if text.is_empty() => None,
        Err(_) => Some(DimensionValue::DimParam((*text).to_owned())),
    };
    let dim = shape.iter().map(|text| Dimension { value: axis(text), ..Default::default() }).collect();
    let tensor = TensorType { elem_type: DataType::Float.into(), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn external(name: &str, location: &str, length: usize) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    TensorProto {
        name: name.to_owned(),
        data_type: DataType::Float.into(),
        dims: vec![WIDTH as i64, HIDDEN as i64],
        data_location: DataLocation::External.into(),
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", "0".to_owned()),
            entry("length", length.to_string()),
        ],
        ..Default::default()
    }
}
