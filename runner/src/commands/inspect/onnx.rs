use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use egom2p_export::{element_name, list_model};
use egom2p_onnx_proto::{
    DataLocation, DimensionValue, GraphProto, MAX_MODEL_BYTES, TypeValue, ValueInfoProto, decode_model,
};
use serde_json::{Value, json};

use super::report::{Report, Table, bytes, count as number, plain};

/// How many operators a line names.
const SHOWN_OPERATORS: usize = 12;

/// One ONNX file: its inputs and outputs, what it is made of and, as a table, its nodes one a line.
pub(super) fn report(path: &Path) -> anyhow::Result<Report> {
    let shown = path.display();
    let named = || format!("cannot read {shown}\nname an .onnx file");
    let n_bytes = fs::metadata(path).with_context(named)?.len();
    anyhow::ensure!(
        n_bytes <= MAX_MODEL_BYTES as u64,
        "{shown} has {n_bytes} bytes, expected at most {MAX_MODEL_BYTES}\nkeep weights in external files, as \"egom2p export\" does"
    );
    let model = decode_model(&fs::read(path).with_context(named)?).with_context(|| shown.to_string())?;
    let mut report = Report::new("onnx", format!("{shown}: ONNX, {}", bytes(n_bytes)));
    report.set("bytes", json!(n_bytes));
    report.set("ir_version", json!(model.ir_version));

    let domain = |name: &str| if name.is_empty() { "ai.onnx".to_owned() } else { plain(name) };
    let opsets: Vec<String> =
        model.opset_import.iter().map(|opset| format!("{} {}", domain(&opset.domain), opset.version)).collect();
    report.facts.push(format!("ir {}, {}", model.ir_version, opsets.join(", ")));
    report.set("opsets", json!(opsets));
    let written = format!("{} {}", plain(&model.producer_name), plain(&model.producer_version));
    if !written.trim().is_empty() {
        report.facts.push(format!("written by {}", written.trim()));
    }

    let Some(graph) = &model.graph else { return Ok(report) };
    report.set("graph", json!(graph.name));
    for (what, values) in [("input", &graph.input), ("output", &graph.output)] {
        report.facts.extend(values.iter().map(|value| format!("{what} {}", typed(value))));
        report.set(&format!("{what}s"), values.iter().map(value_json).collect());
    }
    describe_tensors(graph, &mut report);
    describe_nodes(graph, &mut report);
    let nodes: Vec<Vec<String>> = list_model(&model)
        .lines()
        .filter(|line| !["onnx ", "graph ", "input ", "output ", "tensor "].iter().any(|start| line.starts_with(start)))
        .map(|line| vec![line.to_owned()])
        .collect();
    report.set("nodes", nodes.iter().flatten().map(String::as_str).collect());
    report.tables.push(Table { columns: &["nodes"], rows: nodes });
    Ok(report)
}

/// The initialisers: how many, and how many bytes in which files.
fn describe_tensors(graph: &GraphProto, report: &mut Report) {
    let mut files: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for tensor in &graph.initializer {
        let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &*entry.value);
        if tensor.data_location() == DataLocation::External {
            let (count, size) = files.entry(plain(entry("location").unwrap_or("?"))).or_default();
            *count += 1;
            *size = size.saturating_add(entry("length").and_then(|length| length.parse().ok()).unwrap_or(0));
        }
    }
    let n_external: usize = files.values().map(|(count, _)| count).sum();
    report.facts.push(format!("{} in the file itself", number(graph.initializer.len() - n_external, "tensor")));
    for (file, (count, size)) in &files {
        report.facts.push(format!("{} in {file}, {}", number(*count, "tensor"), bytes(*size)));
    }
    let external = files.iter().map(|(file, (count, size))| json!({ "file": file, "tensors": count, "bytes": size }));
    report.set(
        "tensors",
        json!({ "own": graph.initializer.len() - n_external, "external": external.collect::<Value>() }),
    );
}

/// The operators by frequency.
fn describe_nodes(graph: &GraphProto, report: &mut Report) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in &graph.node {
        *counts.entry(plain(&node.op_type)).or_default() += 1;
    }
    report.set("operators", json!(counts));
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut listed: Vec<String> =
        sorted.iter().take(SHOWN_OPERATORS).map(|(operator, count)| format!("{count} {operator}")).collect();
    if sorted.len() > SHOWN_OPERATORS {
        listed.push(format!("{} kinds more", sorted.len() - SHOWN_OPERATORS));
    }
    report.facts.push(format!("{}: {}", number(graph.node.len(), "node"), listed.join(", ")));
}

fn typed(value: &ValueInfoProto) -> String {
    match (element(value), axes(value)) {
        (Some(element), Some(axes)) => {
            let axes = axes.iter().map(|axis| axis.as_str().map_or_else(|| axis.to_string(), plain));
            format!("{} {element} [{}]", plain(&value.name), axes.collect::<Vec<_>>().join(", "))
        }
        (Some(element), None) => format!("{} {element} of any shape", plain(&value.name)),
        _ => format!("{}, which is no tensor", plain(&value.name)),
    }
}

fn value_json(value: &ValueInfoProto) -> Value {
    json!({ "name": value.name, "dtype": element(value), "shape": axes(value) })
}

fn element(value: &ValueInfoProto) -> Option<String> {
    match value.r#type.as_ref()?.value.as_ref()? {
        TypeValue::Tensor(tensor) => Some(element_name(tensor.elem_type)),
        _ => None,
    }
}

/// Axes as numbers, names, or `?` where there is neither.
fn axes(value: &ValueInfoProto) -> Option<Vec<Value>> {
    let TypeValue::Tensor(tensor) = value.r#type.as_ref()?.value.as_ref()? else { return None };
    let axis = |dim: &Option<DimensionValue>| match dim {
        Some(DimensionValue::DimValue(length)) => json!(length),
        Some(DimensionValue::DimParam(name)) => json!(name),
        None => json!("?"),
    };
    Some(tensor.shape.as_ref()?.dim.iter().map(|dim| axis(&dim.value)).collect())
}
