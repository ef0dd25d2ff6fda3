use crate::onnx::broken;
use crate::{RelativePath, Result};
use egom2p_onnx_proto::{AttributeProto, DataLocation, DataType, GraphProto, ModelProto, NodeProto, TensorProto};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the elements of an external tensor are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The file, from the folder that the model is read from.
    pub location: RelativePath,
    /// The first byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl External {
    /// Where an external tensor's elements are; `None` for a tensor that holds them itself.
    pub fn of(tensor: &TensorProto) -> std::result::Result<Option<Self>, String> {
        if tensor.data_location() != DataLocation::External {
            return Ok(None);
        }
        let name = &tensor.name;
        let mut fields = BTreeMap::new();
        for entry in &tensor.external_data {
            if fields.insert(&*entry.key, &*entry.value).is_some() {
                return Err(format!("external data of {name} give {} twice", entry.key));
            }
        }
        let location = fields.get("location").ok_or_else(|| format!("external data of {name} name no file"))?;
        let location = RelativePath::new(*location).map_err(|_| {
            format!("external data of {name} lie at {location:?}: expected a path inside the folder of the model")
        })?;
        let number = |key: &str| {
            let text = fields.get(key).ok_or_else(|| format!("external data of {name} give no {key}"))?;
            text.parse::<u64>().map_err(|_| format!("external data of {name} have {key} {text:?}: expected a number"))
        };
        let offset = if fields.contains_key("offset") { number("offset")? } else { 0 };
        let length = number("length")?;
        if let Some(expected) = tensor_bytes(tensor)
            && expected != length
        {
            return Err(format!("external data of {name} have {length} bytes: expected {expected}"));
        }
        Ok(Some(Self { location, offset, length }))
    }

    /// Writes the place into a tensor.
    pub fn store(&self, tensor: &mut TensorProto) {
        let entry = |key: &str, value: String| egom2p_onnx_proto::StringStringEntryProto { key: key.to_owned(), value };
        tensor.external_data = vec![
            entry("location", self.location.to_string()),
            entry("offset", self.offset.to_string()),
            entry("length", self.length.to_string()),
        ];
        tensor.set_data_location(DataLocation::External);
    }
}

/// Checks that all external data of a model lie in files inside `folder`, and that those files are long enough. Gives
/// the files with their sizes in bytes.
pub fn check_external(model: &mut ModelProto, path: &Path, folder: &Path) -> Result<BTreeMap<RelativePath, u64>> {
    let mut files: BTreeMap<RelativePath, u64> = BTreeMap::new();
    let checked = visit_tensors(model, &mut |tensor| {
        let Some(external) = External::of(tensor)? else {
            return Ok(());
        };
        let file_bytes = match files.get(&external.location) {
            Some(bytes) => *bytes,
            None => *files.entry(external.location.clone()).or_insert(file_bytes(folder, &external.location)?),
        };
        let end = external.offset.checked_add(external.length);
        if end.is_none_or(|end| end > file_bytes) {
            return Err(format!(
                "{} is too short for {}: expected {} bytes from byte {}, the file has {file_bytes}",
                external.location, tensor.name, external.length, external.offset
            ));
        }
        Ok(())
    });
    checked.map_err(|what| broken(path, what))?;
    Ok(files)
}

/// Calls `visit_tensor` on every tensor of a model: of graphs, of their subgraphs and of functions.
pub fn visit_tensors<E>(
    model: &mut ModelProto,
    visit_tensor: &mut impl FnMut(&mut TensorProto) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    if let Some(graph) = &mut model.graph {
        visit_graph(graph, visit_tensor)?;
    }
    for info in &mut model.training_info {
        for graph in info.initialization.iter_mut().chain(&mut info.algorithm) {
            visit_graph(graph, visit_tensor)?;
        }
    }
    for function in &mut model.functions {
        visit_attributes(&mut function.attribute_proto, visit_tensor)?;
        visit_nodes(&mut function.node, visit_tensor)?;
    }
    Ok(())
}

fn visit_graph<E>(
    graph: &mut GraphProto,
    visit_tensor: &mut impl FnMut(&mut TensorProto) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    graph.initializer.iter_mut().try_for_each(&mut *visit_tensor)?;
    for sparse in &mut graph.sparse_initializer {
        sparse.values.iter_mut().chain(&mut sparse.indices).try_for_each(&mut *visit_tensor)?;
    }
    visit_nodes(&mut graph.node, visit_tensor)
}

fn visit_nodes<E>(
    nodes: &mut [NodeProto],
    visit_tensor: &mut impl FnMut(&mut TensorProto) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    nodes.iter_mut().try_for_each(|node| visit_attributes(&mut node.attribute, visit_tensor))
}

fn visit_attributes<E>(
    attributes: &mut [AttributeProto],
    visit_tensor: &mut impl FnMut(&mut TensorProto) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    for attribute in attributes {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(&mut *visit_tensor)?;
        for sparse in attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors) {
            sparse.values.iter_mut().chain(&mut sparse.indices).try_for_each(&mut *visit_tensor)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            visit_graph(graph, visit_tensor)?;
        }
    }
    Ok(())
}

fn file_bytes(folder: &Path, location: &RelativePath) -> std::result::Result<u64, String> {
    let resolve = |path: PathBuf| path.canonicalize().map_err(|error| format!("weights file {location}: {error}"));
    let (folder, file) = (resolve(folder.to_owned())?, resolve(location.below(folder))?);
    if !file.starts_with(&folder) {
        return Err(format!("weights file {location} is a link that leads out of the folder"));
    }
    let metadata = file.metadata().map_err(|error| format!("weights file {location}: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("weights file {location} is not a file"));
    }
    Ok(metadata.len())
}

/// Bytes that a tensor's elements take; `None` for types without a fixed size and for sizes that overflow.
pub fn tensor_bytes(tensor: &TensorProto) -> Option<u64> {
    let n_elements = tensor.dims.iter().try_fold(1_u64, |n, dim| n.checked_mul(u64::try_from(*dim).ok()?))?;
    let bits = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Undefined | DataType::String => return None,
        DataType::Uint2 | DataType::Int2 => 2,
        DataType::Uint4 | DataType::Int4 | DataType::Float4E2m1 => 4,
        DataType::Uint8
        | DataType::Int8
        | DataType::Bool
        | DataType::Float8E4m3fn
        | DataType::Float8E4m3fnuz
        | DataType::Float8E5m2
        | DataType::Float8E5m2fnuz
        | DataType::Float8E8m0 => 8,
        DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16 => 16,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 32,
        DataType::Int64 | DataType::Uint64 | DataType::Double | DataType::Complex64 => 64,
        DataType::Complex128 => 128,
    };
    Some(n_elements.checked_mul(bits)?.div_ceil(8))
}
