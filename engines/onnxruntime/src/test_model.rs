use egom2p_onnx_proto::{
    DataType, Dimension, DimensionValue, GraphProto, Message as _, ModelProto, NodeProto, OperatorSetIdProto,
    TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};

/// The model `y = tanh(x)` of f32 `[batch, 3]`, encoded.
pub(crate) fn tanh() -> Vec<u8> {
    let dimension = |value| Dimension { value: Some(value), ..Default::default() };
    let value = |name: &str| ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::Tensor(TensorType {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto {
                    dim: vec![
                        dimension(DimensionValue::DimParam("batch".to_owned())),
                        dimension(DimensionValue::DimValue(3)),
                    ],
                }),
            })),
            ..Default::default()
        }),
        ..Default::default()
    };
    let model = ModelProto {
        ir_version: 9,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 20 }],
        graph: Some(GraphProto {
            name: "test".to_owned(),
            node: vec![NodeProto {
                op_type: "Tanh".to_owned(),
                input: vec!["x".to_owned()],
                output: vec!["y".to_owned()],
                ..Default::default()
            }],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        }),
        ..Default::default()
    };
    model.encode_to_vec()
}
