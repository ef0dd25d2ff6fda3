use super::record::FileRecord;
use super::{Checkpoint, CheckpointError, OPTIMIZER_PREFIX, Result, values};
use egom2p_model::{
    CONFIG_FILE, ModelConfig,
    weights::{TensorSpec, WeightsPart, WeightsWriter},
};
use std::{fs::File, io, io::Write, path::Path};
use tch::Tensor;

/// The name of the file with what the optimiser remembers.
pub(super) const OPTIMIZER_FILE: &str = "optimizer.safetensors";

/// The names of a checkpoint's files beside the state.
pub(super) fn names(part: WeightsPart) -> [&'static str; 3] {
    [CONFIG_FILE, part.file_name(), OPTIMIZER_FILE]
}

/// Writes the sizes of the model.
pub(super) fn write_config(folder: &Path, config: &ModelConfig) -> Result<FileRecord> {
    let text = config.to_json();
    write_synced(&folder.join(CONFIG_FILE), text.as_bytes())?;
    Ok(FileRecord { n_bytes: text.len() as u64, digest: blake3::hash(text.as_bytes()).to_hex().to_string() })
}

/// Writes the parameters.
pub(super) fn write_parameters(folder: &Path, checkpoint: &Checkpoint) -> Result<FileRecord> {
    write_tensors(&folder.join(checkpoint.part.file_name()), checkpoint, |name| !name.starts_with(OPTIMIZER_PREFIX))
}

/// Writes what the optimiser remembers.
pub(super) fn write_optimizer(folder: &Path, checkpoint: &Checkpoint) -> Result<FileRecord> {
    write_tensors(&folder.join(OPTIMIZER_FILE), checkpoint, |name| name.starts_with(OPTIMIZER_PREFIX))
}

/// Writes a file and waits until it is on the disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(CheckpointError::write(path))
}

/// Fails unless a file has the bytes that were written.
pub(super) fn check(folder: &Path, name: &str, expected: &FileRecord) -> Result<()> {
    let path = folder.join(name);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => CheckpointError::damaged(folder, format!("{name} is missing")),
        _ => CheckpointError::read(&path)(error),
    };
    let mut file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() != expected.n_bytes {
        let (got, expected) = (metadata.len(), expected.n_bytes);
        return Err(CheckpointError::damaged(folder, format!("{name} has {got} bytes, expected {expected}")));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&mut file).map_err(failed)?;
    if hasher.finalize().to_hex().as_str() != expected.digest {
        return Err(CheckpointError::damaged(folder, format!("{name} does not have the digest that was written")));
    }
    Ok(())
}

fn write_tensors(path: &Path, checkpoint: &Checkpoint, belongs: impl Fn(&str) -> bool) -> Result<FileRecord> {
    let tensors = || checkpoint.tensors.iter().filter(|(name, _)| belongs(name));
    let spec = |(name, tensor): (&String, &Tensor)| TensorSpec { name: name.clone(), shape: values::shape(tensor) };
    let mut writer = WeightsWriter::create(path, tensors().map(spec).collect())?;
    // Both go by the order of the names.
    for (name, tensor) in tensors() {
        if let Some(writer) = writer.next_tensor()? {
            values::write(name, tensor, writer)?;
        }
    }
    let written = writer.finish()?;
    Ok(FileRecord { n_bytes: written.n_bytes, digest: written.digest })
}
