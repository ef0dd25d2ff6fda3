//! Models that survive decoding and encoding, and bytes that must be refused without a panic.

#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use egom2p_onnx_proto::{
    AttributeProto, AttributeType, DataLocation, DataType, DecodeError, Dimension, DimensionValue, FunctionProto,
    GraphProto, MAX_DEPTH, MAX_ENTRIES, Message, ModelProto, NodeProto, OperatorSetIdProto, SequenceType,
    SparseTensorProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue,
    ValueInfoProto, decode_model,
};

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
}

fn tensor_type() -> TypeProto {
    let dim = |value| Dimension { value, denotation: "DATA_BATCH".to_owned() };
    let shape = TensorShapeProto {
        dim: vec![
            dim(Some(DimensionValue::DimParam("batch".to_owned()))),
            dim(Some(DimensionValue::DimValue(0))),
            dim(None),
        ],
    };
    let tensor = TensorType { elem_type: DataType::Bfloat16 as i32, shape: Some(shape) };
    TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: "TENSOR".to_owned() }
}

/// A model with something in the less usual corners of the format.
fn model() -> ModelProto {
    let inner = GraphProto { name: "inner".to_owned(), ..Default::default() };
    let tensor = TensorProto {
        name: "w".to_owned(),
        dims: vec![2, 0, 3],
        data_type: DataType::Float as i32,
        raw_data: Some(Vec::new()),
        ..Default::default()
    };
    let external = TensorProto {
        name: "x".to_owned(),
        data_location: DataLocation::External as i32,
        external_data: vec![entry("location", "w.bin"), entry("offset", "0")],
        ..Default::default()
    };
    let zero = AttributeProto {
        name: "axis".to_owned(),
        r#type: AttributeType::Int as i32,
        i: Some(0),
        ints: vec![-1, i64::MAX],
        floats: vec![0.0, -1.5],
        strings: vec![Vec::new(), b"a".to_vec()],
        s: Some(Vec::new()),
        f: Some(0.0),
        g: Some(inner),
        t: Some(tensor.clone()),
        tp: Some(tensor_type()),
        ..Default::default()
    };
    let node = NodeProto {
        input: vec![String::new(), "x".to_owned()],
        output: vec!["y".to_owned()],
        op_type: "If".to_owned(),
        overload: "o".to_owned(),
        attribute: vec![zero.clone()],
        metadata_props: vec![entry("k", "")],
        ..Default::default()
    };
    let sequence = TypeValue::Sequence(Box::new(SequenceType { elem_type: Some(Box::new(tensor_type())) }));
    let graph = GraphProto {
        name: "main".to_owned(),
        node: vec![node.clone()],
        initializer: vec![tensor, external],
        sparse_initializer: vec![SparseTensorProto { dims: vec![4], ..Default::default() }],
        input: vec![ValueInfoProto {
            name: "x".to_owned(),
            r#type: Some(TypeProto { value: Some(sequence), ..Default::default() }),
            ..Default::default()
        }],
        ..Default::default()
    };
    ModelProto {
        ir_version: 10,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 20 }],
        graph: Some(graph),
        functions: vec![FunctionProto {
            name: "f".to_owned(),
            node: vec![node],
            attribute_proto: vec![zero],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn a_model_survives_decoding_and_encoding() {
    let bytes = model().encode_to_vec();
    let decoded = decode_model(&bytes).unwrap();
    assert_eq!(decoded, model());
    assert_eq!(decoded.encode_to_vec(), bytes);
}

#[test]
fn every_truncation_and_flipped_byte_gives_an_answer() {
    let bytes = model().encode_to_vec();
    for length in 0..bytes.len() {
        let _ = decode_model(&bytes[..length]);
    }
    assert_eq!(decode_model(&[]), Err(DecodeError::NoGraph));
    assert!(matches!(decode_model(&bytes[..bytes.len() - 1]), Err(DecodeError::Malformed { .. })));
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << bit;
            if let Err(error) = decode_model(&flipped) {
                assert_eq!(error.to_string().lines().count(), 2, "{error}");
            }
        }
    }
}

/// A field that holds bytes.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, number << 3 | 2);
    varint(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A model with a graph in an attribute of a node of a graph, and so on.
fn nested(n_graphs: usize) -> Vec<u8> {
    let mut graph = field(2, b"innermost");
    for _ in 1..n_graphs {
        graph = field(1, &field(5, &field(6, &graph)));
    }
    field(7, &graph)
}

#[test]
fn hostile_nesting_is_refused() {
    let allowed = (MAX_DEPTH - 1) / 3 + 1;
    assert!(decode_model(&nested(allowed)).is_ok());
    assert!(matches!(decode_model(&nested(allowed + 1)), Err(DecodeError::TooDeep { .. })));
    let error = decode_model(&nested(20_000)).unwrap_err();
    assert!(matches!(error, DecodeError::TooDeep { .. }), "{error}");
    let mut r#type = Vec::new();
    for _ in 0..20_000 {
        r#type = field(4, &field(1, &r#type));
    }
    let bytes = field(7, &field(11, &field(2, &r#type)));
    assert!(matches!(decode_model(&bytes), Err(DecodeError::TooDeep { .. })));
}

#[test]
fn floods_of_empty_entries_are_refused() {
    let nodes = field(1, &[]).repeat(MAX_ENTRIES);
    assert!(matches!(decode_model(&field(7, &nodes)), Err(DecodeError::TooManyEntries { .. })));
}

#[test]
fn what_the_structs_would_lose_is_refused() {
    let mut bytes = model().encode_to_vec();
    bytes.extend(field(99, b"from the future"));
    let error = decode_model(&bytes).unwrap_err();
    assert!(error.to_string().contains("ModelProto has no field 99"), "{error}");
}

#[test]
fn broken_wire_formats_are_refused() {
    let graph_as_number = [7 << 3, 1];
    let group = [2 << 3 | 3];
    let long_number = [1 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let beyond_the_end = [2 << 3 | 2, 100, b'x'];
    for bytes in [&graph_as_number[..], &group, &long_number, &beyond_the_end] {
        assert!(matches!(decode_model(bytes), Err(DecodeError::Malformed { .. })), "{bytes:?}");
    }
    let not_utf8 = field(7, &field(2, &[0xff, 0xfe]));
    assert!(matches!(decode_model(&not_utf8), Err(DecodeError::Content { .. })));
}
