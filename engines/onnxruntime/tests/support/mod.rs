//! Small ONNX models made by hand.

#![allow(dead_code, reason = "each test file uses a part of it")]

use egom2p_onnx_proto::{
    AttributeProto, AttributeType, DataLocation, DataType, Dimension, DimensionValue, GraphProto, Message, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto,
    TypeValue, ValueInfoProto,
};
use std::path::Path;

pub(crate) const WIDTH: usize = 8;
pub(crate) const HIDDEN: usize = 48;
pub(crate) const WEIGHTS: &str = "weights.bin";

/// Element `i` of the weights: small, different everywhere, exact in f32.
pub(crate) fn weight(i: usize) -> f32 {
    ((i * 37 + 11) % 64) as f32 / 64.0 - 0.5
}

/// `projected = where(mask, x w^T + bias, 0)`, `rounded = i64(projected)` towards zero, `twice = concat(x, x)`, `folded = x w2^T`
/// with the transposition of `w2` written as a node, so that an optimiser makes it a new weight; `widened = x v`
/// with `v` = `w` reshaped to [8, 48] by a node, which an optimiser makes a new name for the same bytes.
/// `x` f32 [batch, visible, 8], `mask` bool [batch, visible]; `w` and `w2` [48, 8] are external, `bias` [48] is not.
pub(crate) fn model() -> ModelProto {
    let n_bytes = HIDDEN * WIDTH * 4;
    let graph = GraphProto {
        name: "test".to_owned(),
        node: vec![
            node("com.microsoft", "FusedMatMul", &["x", "w"], "product", vec![int("transB", 1)]),
            node("", "Add", &["product", "bias"], "biased", vec![]),
            node("", "Unsqueeze", &["mask", "last_axis"], "mask_3d", vec![]),
            node("", "Where", &["mask_3d", "biased", "zero"], "projected", vec![]),
            node("", "Cast", &["projected"], "rounded", vec![int("to", 7)]),
            node("", "Concat", &["x", "x"], "twice", vec![int("axis", 1)]),
            node("", "Transpose", &["w2"], "w2_transposed", vec![ints("perm", &[1, 0])]),
            node("", "MatMul", &["x", "w2_transposed"], "folded", vec![]),
            node("", "Reshape", &["w", "wide_shape"], "w_wide", vec![]),
            node("", "MatMul", &["x", "w_wide"], "widened", vec![]),
            node("", "Identity", &["mask"], "mask_again", vec![]),
        ],
        initializer: vec![
            external("w", WEIGHTS, 0, n_bytes),
            external("w2", WEIGHTS, n_bytes, n_bytes),
            inline_f32("bias", &[HIDDEN], &[0.25; HIDDEN]),
            inline_f32("zero", &[], &[0.0]),
            inline_i64("last_axis", &[-1]),
            inline_i64("wide_shape", &[WIDTH as i64, HIDDEN as i64]),
        ],
        input: vec![
            value("x", DataType::Float, &["batch", "visible", "8"]),
            value("mask", DataType::Bool, &["batch", "visible"]),
        ],
        output: vec![
            value("projected", DataType::Float, &["batch", "visible", "48"]),
            value("rounded", DataType::Int64, &["batch", "visible", "48"]),
            value("twice", DataType::Float, &["batch", "doubled", "8"]),
            value("folded", DataType::Float, &["batch", "visible", "48"]),
            value("widened", DataType::Float, &["batch", "visible", "48"]),
            value("mask_again", DataType::Bool, &["batch", "visible"]),
        ],
        ..Default::default()
    };
    let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    ModelProto {
        ir_version: 10,
        opset_import: vec![opset("", 20), opset("com.microsoft", 1)],
        graph: Some(graph),
        ..Default::default()
    }
}

/// The content of the weights file.
pub(crate) fn weights() -> Vec<u8> {
    (0..2 * HIDDEN * WIDTH).flat_map(|i| weight(i).to_le_bytes()).collect()
}

/// Writes the model and its weights into a folder, as `NAME.onnx` and `weights.bin`.
pub(crate) fn write(folder: &Path, name: &str, model: &ModelProto) {
    std::fs::create_dir_all(folder).expect("a temporary folder can be written");
    std::fs::write(folder.join(format!("{name}.onnx")), model.encode_to_vec()).expect("a file can be written");
    std::fs::write(folder.join(WEIGHTS), weights()).expect("a file can be written");
}

pub(crate) fn node(domain: &str, op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: format!("make_{output}"),
        domain: domain.to_owned(),
        op_type: op.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..Default::default()
    }
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type: AttributeType::Int as i32, i: Some(i), ..Default::default() }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: ints.to_vec(),
        ..Default::default()
    }
}

pub(crate) fn external(name: &str, location: &str, offset: usize, length: usize) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    TensorProto {
        name: name.to_owned(),
        dims: vec![HIDDEN as i64, WIDTH as i64],
        data_type: DataType::Float as i32,
        data_location: DataLocation::External as i32,
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ],
        ..Default::default()
    }
}

pub(crate) fn inline_f32(name: &str, dims: &[usize], data: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.iter().map(|length| *length as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: Some(data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        ..Default::default()
    }
}

pub(crate) fn inline_i64(name: &str, data: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![data.len() as i64],
        data_type: DataType::Int64 as i32,
        raw_data: Some(data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        ..Default::default()
    }
}

pub(crate) fn value(name: &str, elem_type: DataType, shape: &[&str]) -> ValueInfoProto {
    let dim = |text: &&str| Dimension {
        value: Some(
            text.parse().map_or_else(|_| DimensionValue::DimParam((*text).to_owned()), DimensionValue::DimValue),
        ),
        ..Default::default()
    };
    let tensor = TensorType {
        elem_type: elem_type as i32,
        shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), ..Default::default() }),
        ..Default::default()
    }
}
