use std::collections::BTreeMap;
use std::path::Path;

use super::tensor::is_tensor;
use super::{CheckpointError, StoredTensor};
use crate::weights::pickle::{Pickle, ValueId};
use crate::weights::quote::listed;

/// The state dict of a `torch.save` archive: under `model`, or the whole file when it is a bare state dict.
pub(super) fn tensors(path: &Path, pickle: &Pickle<'_>) -> Result<BTreeMap<String, StoredTensor>, CheckpointError> {
    let state_dict = find(pickle).map_err(|found| CheckpointError::NoStateDict { path: path.to_owned(), found })?;
    let mut tensors = BTreeMap::new();
    for &(name, value) in pickle.dict(state_dict).unwrap_or_default() {
        let name = pickle.text(name).ok_or_else(|| CheckpointError::NoStateDict {
            path: path.to_owned(),
            found: format!("one of its names is {}", pickle.describe(name)),
        })?;
        let tensor = StoredTensor::from_pickle(pickle, value);
        let tensor = tensor.map_err(|reason| CheckpointError::tensor(path, name, reason))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

fn find(pickle: &Pickle<'_>) -> Result<ValueId, String> {
    let root = pickle.root();
    let entries = pickle.dict(root).ok_or_else(|| format!("it is {}", pickle.describe(root)))?;
    if let Some(model) = pickle.get(root, "model") {
        return match pickle.dict(model) {
            Some([]) => Err("its \"model\" is empty".into()),
            Some(_) => Ok(model),
            None => Err(format!("its \"model\" is {}", pickle.describe(model))),
        };
    }
    if entries.iter().any(|(_, value)| is_tensor(pickle, *value)) {
        return Ok(root);
    }
    let names: Vec<&str> = entries.iter().filter_map(|(name, _)| pickle.text(*name)).collect();
    Err(if names.is_empty() { "it is empty".into() } else { format!("it has {}", listed(&names)) })
}
