use std::collections::BTreeMap;
use std::path::Path;

use super::tensor::is_tensor;
use super::{CheckpointError, StoredTensor};
use crate::weights::pickle::{Pickle, Value, ValueId};

/// How deep modules may be nested.
const MAX_DEPTH: usize = 64;
/// How many attributes are looked at: a file may refer to one module many times, or to itself.
const MAX_ATTRIBUTES: usize = 1 << 16;
/// The longest path of attributes, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// The tensors of a TorchScript module, by the path of attributes that leads to them.
pub(super) fn tensors(path: &Path, pickle: &Pickle<'_>) -> Result<BTreeMap<String, StoredTensor>, CheckpointError> {
    let not_a_module = |found: String| CheckpointError::NoStateDict { path: path.to_owned(), found };
    let root = pickle.root();
    let attributes =
        attributes(pickle, root).ok_or_else(|| not_a_module(format!("it is {}", pickle.describe(root))))?;
    let mut tensors = BTreeMap::new();
    let mut open = vec![(String::new(), 1_usize, attributes)];
    let mut n_attributes = 0;
    while let Some((prefix, depth, attributes)) = open.pop() {
        n_attributes += attributes.len();
        if n_attributes > MAX_ATTRIBUTES || depth > MAX_DEPTH {
            return Err(not_a_module("its modules are nested without end".into()));
        }
        for &(name, value) in attributes {
            let Some(name) = pickle.text(name) else { continue };
            if prefix.len() + name.len() > MAX_NAME_BYTES {
                return Err(not_a_module(format!("it has an attribute path of more than {MAX_NAME_BYTES} bytes")));
            }
            let name = format!("{prefix}{name}");
            if is_tensor(pickle, value) {
                let tensor = StoredTensor::from_pickle(pickle, value);
                let tensor = tensor.map_err(|reason| CheckpointError::tensor(path, &name, reason))?;
                tensors.insert(name, tensor);
            } else if let Some(attributes) = self::attributes(pickle, value) {
                open.push((format!("{name}."), depth + 1, attributes));
            }
        }
    }
    Ok(tensors)
}

/// The attributes of a module object; its class is generated code below `__torch__`, which is never read.
fn attributes<'a>(pickle: &'a Pickle<'_>, id: ValueId) -> Option<&'a [(ValueId, ValueId)]> {
    let Value::Object { callee, state: Some(state), .. } = pickle.value(id) else { return None };
    let class = pickle.global(*callee)?;
    let generated = class.module == "__torch__" || class.module.starts_with("__torch__.");
    if generated { pickle.dict(*state) } else { None }
}
