use crate::{Axis, DType, EngineError, Result, TensorSpec};
use egom2p_onnx_proto::{
    DataType, Dimension, DimensionValue, MAX_MODEL_BYTES, ModelProto, TypeValue, ValueInfoProto, decode_model,
};
use std::path::Path;

const MEND: &str = "re-export with \"egom2p export\", then build again";

/// Reads a model from a file, after checking its size and scanning it. External data are not read.
pub fn read_model(path: &Path) -> Result<(ModelProto, Vec<u8>)> {
    let read = |source| EngineError::Read { path: path.to_owned(), source, mend: MEND };
    let n_bytes = std::fs::metadata(path).map_err(read)?.len();
    if n_bytes > MAX_MODEL_BYTES as u64 {
        return Err(broken(path, format!("the file has {n_bytes} bytes, expected at most {MAX_MODEL_BYTES}")));
    }
    let bytes = std::fs::read(path).map_err(read)?;
    let model = decode_model(&bytes).map_err(|error| {
        let text = error.to_string();
        let (what, mend) = text.split_once('\n').unwrap_or((&text, MEND));
        EngineError::Model { path: path.to_owned(), what: what.to_owned(), mend: mend.to_owned() }
    })?;
    Ok((model, bytes))
}

/// Inputs and outputs of a model. Axes without a name get one that no other axis has.
pub fn model_specs(model: &ModelProto, path: &Path) -> Result<(Vec<TensorSpec>, Vec<TensorSpec>)> {
    let Some(graph) = &model.graph else {
        return Err(broken(path, "it has no graph".to_owned()));
    };
    let is_weight = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let specs = |values: &[ValueInfoProto]| {
        values
            .iter()
            .filter(|value| !is_weight(&value.name))
            .map(|value| spec(value).map_err(|what| broken(path, what)))
            .collect::<Result<Vec<_>>>()
    };
    Ok((specs(&graph.input)?, specs(&graph.output)?))
}

/// The error of a model in which something is wrong.
pub fn broken(path: &Path, what: String) -> EngineError {
    EngineError::Model { path: path.to_owned(), what, mend: MEND.to_owned() }
}

fn spec(value: &ValueInfoProto) -> std::result::Result<TensorSpec, String> {
    let name = &value.name;
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|r#type| r#type.value.as_ref()) else {
        return Err(format!("{name} is not a tensor"));
    };
    let dtype = match tensor.elem_type() {
        DataType::Float => DType::F32,
        DataType::Int64 => DType::I64,
        DataType::Bool => DType::Bool,
        other => return Err(format!("{name} has elements of type {other:?}: expected Float, Int64 or Bool")),
    };
    let dims = tensor.shape.as_ref().map(|shape| &*shape.dim).ok_or_else(|| format!("{name} has no shape"))?;
    let shape = dims.iter().enumerate().map(|(i, dim)| axis(name, i, dim)).collect::<std::result::Result<_, _>>()?;
    Ok(TensorSpec { name: name.clone(), dtype, shape })
}

fn axis(name: &str, i: usize, dim: &Dimension) -> std::result::Result<Axis, String> {
    match &dim.value {
        Some(DimensionValue::DimValue(length)) => usize::try_from(*length)
            .map(Axis::Fixed)
            .map_err(|_| format!("axis {i} of {name} has length {length}: expected no negative length")),
        Some(DimensionValue::DimParam(dim)) if !dim.is_empty() => Ok(Axis::Named(dim.clone())),
        Some(DimensionValue::DimParam(_)) | None => Ok(Axis::Named(format!("{name}[{i}]"))),
    }
}
