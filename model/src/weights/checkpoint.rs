//! Checkpoints as PyTorch writes them: `torch.save` archives (`.pth`) and TorchScript archives (`.jit`).

mod archive;
mod error;
mod module;
mod state_dict;
mod tensor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::archive::Archive;
pub use self::error::CheckpointError;
pub use self::tensor::{StoredDtype, StoredTensor};
use super::CHUNK_VALUES;
use super::pickle::{MAX_PICKLE_BYTES, Pickle, PickleError};
use super::quote::quoted;

/// The named tensors of a PyTorch archive. Nothing in the file is ever executed.
///
/// Opening reads the archive's listing and its `data.pkl`; values are read tensor by tensor.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    kind: CheckpointKind,
    archive: Archive,
    tensors: BTreeMap<String, StoredTensor>,
}

/// What wrote a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKind {
    /// `torch.save` of a dictionary with a state dict under `model`, or of a bare state dict.
    StateDict,
    /// `torch.jit.save` of a traced or scripted module; names are attribute paths.
    TorchScript,
}

impl Checkpoint {
    /// Opens an archive, recognises its kind and lists its tensors.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let mut archive = Archive::open(path)?;
        if archive.byte_order()?.as_deref().is_some_and(|order| order.trim_ascii() != b"little") {
            return Err(CheckpointError::ByteOrder { path: path.to_owned() });
        }
        let bytes = archive.read_entry("data.pkl", MAX_PICKLE_BYTES)?;
        let pickle = Pickle::parse(&bytes).map_err(|error| match error {
            PickleError::Denied(global) => CheckpointError::RunsCode { path: path.to_owned(), global },
            PickleError::Malformed { .. } => CheckpointError::entry(path, "data.pkl", error.to_string()),
        })?;
        let (kind, tensors) = if archive.contains("constants.pkl") {
            (CheckpointKind::TorchScript, module::tensors(path, &pickle)?)
        } else {
            (CheckpointKind::StateDict, state_dict::tensors(path, &pickle)?)
        };
        Ok(Self { path: path.to_owned(), kind, archive, tensors })
    }

    /// The archive's path, as given to [`open`](Self::open).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What wrote the archive.
    pub fn kind(&self) -> CheckpointKind {
        self.kind
    }

    /// All tensors by name. Whether their storages are in the archive is only known when they are read.
    pub fn tensors(&self) -> &BTreeMap<String, StoredTensor> {
        &self.tensors
    }

    /// Renames the tensors: `rename` gives each its new name, or `None` to leave it out.
    pub(super) fn rename(&mut self, rename: impl Fn(&str) -> Option<String>) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors.into_iter().filter_map(|(name, tensor)| Some((rename(&name)?, tensor))).collect();
    }

    /// Streams a tensor's values, row-major and converted to `f32`, into `sink`, at most [`CHUNK_VALUES`] at a time.
    ///
    /// Half precision and bfloat16 widen exactly, doubles are rounded, other types are refused. A tensor that takes its
    /// whole storage is verified against the archive's checksum.
    pub fn read_f32<E: From<CheckpointError>>(
        &mut self,
        name: &str,
        mut sink: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let tensor_error = |reason: String| CheckpointError::tensor(&self.path, name, reason);
        let tensor = self.tensors.get(name).ok_or_else(|| tensor_error("it is not in the file".into()))?;
        let not_a_float = || tensor_error(format!("it holds {}, expected floating point numbers", tensor.dtype));
        let decode = tensor.dtype.decoder().ok_or_else(not_a_float)?;
        let width = tensor.dtype.n_bytes();
        let entry = format!("data/{}", tensor.storage);
        let span = tensor.span();
        let range = span.start as u64 * width as u64..span.end as u64 * width as u64;
        let mut stored = self.archive.stretch(&entry, range, tensor.n_storage_values as u64 * width as u64)?;
        let mut values = vec![0.0_f32; tensor.n_values().min(CHUNK_VALUES)];
        if tensor.is_contiguous() {
            let mut bytes = vec![0_u8; values.len() * width];
            let mut n_left = tensor.n_values();
            while n_left > 0 {
                let n = n_left.min(CHUNK_VALUES);
                stored.read_exact(&mut bytes[..n * width])?;
                decode(&bytes[..n * width], &mut values[..n]);
                sink(&values[..n])?;
                n_left -= n;
            }
            return Ok(stored.finish()?);
        }
        let bytes = stored.read_all()?;
        let mut positions = tensor.positions().map(|position| (position - span.start) * width).peekable();
        while positions.peek().is_some() {
            let mut n = 0;
            for (value, position) in values.iter_mut().zip(positions.by_ref().take(CHUNK_VALUES)) {
                decode(&bytes[position..position + width], std::slice::from_mut(value));
                n += 1;
            }
            sink(&values[..n])?;
        }
        Ok(())
    }
}

impl CheckpointError {
    fn entry(path: &Path, entry: &str, reason: String) -> Self {
        Self::Entry { path: path.to_owned(), entry: quoted(entry), reason }
    }

    fn tensor(path: &Path, name: &str, reason: String) -> Self {
        Self::Tensor { path: path.to_owned(), name: quoted(name), reason }
    }
}
