//! What a run is fed, checked against the graph, and the sizes of its named dimensions.

use crate::{Result, TorchError};
use egom2p_graph::{Bindings, DType, Dim, DimError, Fact, Graph};
use tch::{Device, Kind, Tensor};

/// Checks every input against its declaration and gives the sizes of the named dimensions.
pub(crate) fn bind(graph: &Graph, inputs: &[(&str, &Tensor)], device: Device) -> Result<Bindings> {
    check_names(graph, inputs)?;
    let size_error = |error| TorchError::Size { graph: graph.name().to_owned(), error };
    let mut bindings = Bindings::new();
    for (name, fact) in graph.inputs() {
        let value = find(inputs, name).ok_or_else(|| TorchError::Missing {
            graph: graph.name().to_owned(),
            name,
            expected: fact.to_string(),
        })?;
        let size = value.size();
        if value.kind() != kind(fact.dtype) || size.len() != fact.shape.len() || value.device() != device {
            return Err(unfit(graph, name, fact, value, device));
        }
        for (dim, &size) in fact.shape.iter().zip(&size) {
            let Some(dimension) = dim.as_named() else { continue };
            let size = size as usize;
            let first = *bindings.entry(dimension).or_insert(size);
            if first != size {
                return Err(size_error(DimError::Conflict { name: dimension, first, second: size }));
            }
        }
    }
    for rule in graph.rules() {
        let size = *bindings.get(rule.name).ok_or(DimError::Unbound { name: rule.name }).map_err(size_error)?;
        rule.check(size).map_err(size_error)?;
    }
    for (name, fact) in graph.inputs() {
        let shape = sizes(graph, &fact.shape, &bindings)?;
        if let Some(value) = find(inputs, name).filter(|value| value.size() != shape) {
            return Err(unfit(graph, name, fact, value, device));
        }
    }
    Ok(bindings)
}

/// The sizes of a shape.
pub(crate) fn sizes(graph: &Graph, shape: &[Dim], bindings: &Bindings) -> Result<Vec<i64>> {
    let size = |dim: &Dim| dim.evaluate(bindings).map(|size| size as i64);
    let sizes: Result<_, DimError> = shape.iter().map(size).collect();
    sizes.map_err(|error| TorchError::Size { graph: graph.name().to_owned(), error })
}

/// The input of this name.
pub(crate) fn find<'t>(inputs: &[(&str, &'t Tensor)], name: &str) -> Option<&'t Tensor> {
    inputs.iter().find(|(given, _)| *given == name).map(|(_, tensor)| *tensor)
}

/// The kind of a tensor of this type.
pub(crate) fn kind(dtype: DType) -> Kind {
    match dtype {
        DType::F32 => Kind::Float,
        DType::F16 => Kind::Half,
        DType::Bf16 => Kind::BFloat16,
        DType::I64 => Kind::Int64,
        DType::Bool => Kind::Bool,
    }
}

fn check_names(graph: &Graph, inputs: &[(&str, &Tensor)]) -> Result<()> {
    for (index, (name, _)) in inputs.iter().enumerate() {
        let (graph_name, name) = (graph.name().to_owned(), (*name).to_owned());
        if graph.inputs().all(|(known, _)| known != name) {
            let known: Vec<_> = graph.inputs().map(|(known, _)| known).collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            return Err(TorchError::Unknown { graph: graph_name, name, known });
        }
        if find(&inputs[..index], &name).is_some() {
            return Err(TorchError::Repeated { graph: graph_name, name });
        }
    }
    Ok(())
}

fn unfit(graph: &Graph, name: &'static str, fact: &Fact, value: &Tensor, device: Device) -> TorchError {
    let expected = format!("{fact} on {device:?}");
    let actual = format!("{:?}{:?} on {:?}", value.kind(), value.size(), value.device());
    TorchError::Input { graph: graph.name().to_owned(), name, expected, actual }
}
