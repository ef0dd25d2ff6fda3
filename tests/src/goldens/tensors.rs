use std::{collections::BTreeMap, error::Error, fs, path::Path};

use egom2p_graph::{Literal, LiteralData};
use safetensors::{Dtype, SafeTensors};

/// Every tensor of a safetensors file, by name.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Literal>, Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let data = match view.dtype() {
            Dtype::F32 => LiteralData::F32(values(view.data(), f32::from_le_bytes)),
            Dtype::I64 => LiteralData::I64(values(view.data(), i64::from_le_bytes)),
            Dtype::BOOL => LiteralData::Bool(view.data().iter().map(|&byte| byte != 0).collect()),
            other => return Err(format!("{name} is {other:?}, expected F32, I64 or BOOL").into()),
        };
        tensors.insert(name, Literal::new(view.shape().to_vec(), data)?);
    }
    Ok(tensors)
}

fn values<T, const N: usize>(bytes: &[u8], from_bytes: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| from_bytes(chunk)).collect()
}
