use std::fmt::Write;

use egom2p_onnx_proto::{
    AttributeProto, DataLocation, DataType, DecodeError, DimensionValue, FunctionProto, GraphProto, ModelProto,
    NodeProto, TensorProto, TypeValue, ValueInfoProto, decode_model,
};

/// How many numbers of a list are shown.
const SHOWN: usize = 8;

/// An ONNX file as text, one node a line: what snapshots store and `egom2p inspect` shows.
///
/// Fails on bytes that are no ONNX model, among them those that would need more memory than they have bytes. Weights in
/// other files are named, not read.
pub fn list_onnx(bytes: &[u8]) -> Result<String, DecodeError> {
    Ok(list_model(&decode_model(bytes)?))
}

/// A decoded model as text. Nothing in it is trusted: names are escaped, long lists are cut, subgraphs are counted.
pub fn list_model(model: &ModelProto) -> String {
    let mut text = format!("onnx ir {}", model.ir_version);
    for opset in &model.opset_import {
        let domain = if opset.domain.is_empty() { "ai.onnx" } else { &opset.domain };
        let _ = write!(text, ", {} {}", domain.escape_debug(), opset.version);
    }
    text.push('\n');
    if let Some(graph) = &model.graph {
        list_graph(&mut text, graph);
    }
    for function in &model.functions {
        list_function(&mut text, function);
    }
    text
}

fn list_graph(text: &mut String, graph: &GraphProto) {
    let _ = writeln!(text, "graph {}", graph.name.escape_debug());
    for input in &graph.input {
        let _ = writeln!(text, "input {}", typed(input));
    }
    for tensor in &graph.initializer {
        let _ = writeln!(text, "tensor {}", described(tensor));
    }
    for node in &graph.node {
        list_node(text, node);
    }
    for output in &graph.output {
        let _ = writeln!(text, "output {}", typed(output));
    }
}

fn list_function(text: &mut String, function: &FunctionProto) {
    let call = format!("{}::{}", function.domain, function.name);
    let _ = writeln!(text, "function {}({})", call.escape_debug(), names(&function.input));
    for node in &function.node {
        text.push_str("  ");
        list_node(text, node);
    }
    let _ = writeln!(text, "  return {}", names(&function.output));
}

fn list_node(text: &mut String, node: &NodeProto) {
    let _ = write!(text, "{} = ", names(&node.output));
    if !node.domain.is_empty() {
        let _ = write!(text, "{}::", node.domain.escape_debug());
    }
    let _ = write!(text, "{}({})", node.op_type.escape_debug(), names(&node.input));
    for attribute in &node.attribute {
        let _ = write!(text, " {}={}", attribute.name.escape_debug(), value(attribute));
    }
    if node.output.first() != Some(&node.name) && !node.name.is_empty() {
        let _ = write!(text, "  // {}", node.name.escape_debug());
    }
    text.push('\n');
}

fn names(names: &[String]) -> String {
    let quoted =
        names.iter().map(|name| if name.is_empty() { "_".to_owned() } else { name.escape_debug().to_string() });
    quoted.collect::<Vec<_>>().join(", ")
}

fn value(attribute: &AttributeProto) -> String {
    if let Some(f) = attribute.f {
        format!("{f:?}")
    } else if let Some(i) = attribute.i {
        i.to_string()
    } else if let Some(s) = &attribute.s {
        format!("{:?}", String::from_utf8_lossy(&s[..s.len().min(256)]))
    } else if let Some(tensor) = &attribute.t {
        described(tensor)
    } else if let Some(graph) = &attribute.g {
        format!("<graph of {} nodes>", graph.node.len())
    } else if !attribute.ints.is_empty() {
        list(&attribute.ints)
    } else if !attribute.floats.is_empty() {
        list(&attribute.floats)
    } else if !attribute.strings.is_empty() {
        format!("<{} strings>", attribute.strings.len())
    } else {
        "[]".to_owned()
    }
}

fn list<T: std::fmt::Debug>(values: &[T]) -> String {
    let shown = values.iter().take(SHOWN).map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN { format!("[{shown}, … {} in all]", values.len()) } else { format!("[{shown}]") }
}

fn typed(value: &ValueInfoProto) -> String {
    let name = value.name.escape_debug();
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return format!("{name}: not a tensor");
    };
    let Some(shape) = &tensor.shape else { return format!("{name}: {}[..]", element_name(tensor.elem_type)) };
    let axes = shape.dim.iter().map(|dim| match &dim.value {
        Some(DimensionValue::DimValue(size)) => size.to_string(),
        Some(DimensionValue::DimParam(name)) => name.escape_debug().to_string(),
        None => "?".to_owned(),
    });
    format!("{name}: {}[{}]", element_name(tensor.elem_type), axes.collect::<Vec<_>>().join(", "))
}

fn described(tensor: &TensorProto) -> String {
    let shape = tensor.dims.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let mut text = format!("{}: {}[{shape}]", tensor.name.escape_debug(), element_name(tensor.data_type));
    if tensor.data_location == DataLocation::External as i32 {
        let entry = |key: &str| {
            let found = tensor.external_data.iter().find(|entry| entry.key == key);
            found.map_or_else(|| "?".to_owned(), |entry| entry.value.escape_debug().to_string())
        };
        let _ = write!(text, " in {} at {}, {} bytes", entry("location"), entry("offset"), entry("length"));
    }
    text
}

/// The name of an ONNX element type by its code: `f32`, `f16`, `bf16`, `i64`, `bool` …
pub fn element_name(code: i32) -> String {
    match DataType::try_from(code) {
        Ok(DataType::Float) => "f32".to_owned(),
        Ok(DataType::Float16) => "f16".to_owned(),
        Ok(DataType::Bfloat16) => "bf16".to_owned(),
        Ok(DataType::Int64) => "i64".to_owned(),
        Ok(DataType::Int32) => "i32".to_owned(),
        Ok(DataType::Bool) => "bool".to_owned(),
        Ok(other) => format!("{other:?}").to_lowercase(),
        Err(_) => format!("type {code}"),
    }
}
