use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};

use super::quote::quoted;
use super::{CHUNK_VALUES, WeightsError, WeightsStorage};

/// A tensor that a weights file is going to hold: its name and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The tensor's published name.
    pub name: String,
    /// Its shape; `[]` is a scalar.
    pub shape: Vec<usize>,
}

/// Writes one `.safetensors` file tensor by tensor, beside its final place, and renames it when it is complete.
///
/// The bytes depend on names, shapes and values only: tensors stand in the order of their names. Dropping the writer
/// before [`finish`](Self::finish) removes what was written.
///
/// ```
/// # use egom2p_model::weights::{TensorSpec, WeightsWriter};
/// # let folder = tempfile::tempdir()?;
/// let specs = vec![TensorSpec { name: "encoder_norm.weight".into(), shape: vec![2] }];
/// let mut writer = WeightsWriter::create(&folder.path().join("model.safetensors"), specs)?;
/// while let Some(mut tensor) = writer.next_tensor()? {
///     tensor.write(&vec![1.0; tensor.n_values()])?;
/// }
/// writer.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WeightsWriter {
    partial: PartialFile,
    hasher: blake3::Hasher,
    bytes: Vec<u8>,
    specs: Vec<TensorSpec>,
    storage: WeightsStorage,
    /// The tensor that is being written and how many of its values came so far.
    current: Option<(usize, usize)>,
    n_bytes: u64,
}

/// One tensor of a [`WeightsWriter`], to be filled from its first value to its last.
#[derive(Debug)]
pub struct TensorWriter<'a> {
    writer: &'a mut WeightsWriter,
    index: usize,
}

/// A finished weights file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenWeights {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub n_bytes: u64,
    /// The BLAKE3 digest of the whole file, in hexadecimal.
    pub digest: String,
}

/// The unfinished file, which does not outlive this value.
#[derive(Debug)]
struct PartialFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl WeightsWriter {
    /// Begins a file of `f32` at `path` with these tensors. Its folder must exist; an older file stays until the new one is
    /// complete.
    pub fn create(path: &Path, specs: Vec<TensorSpec>) -> Result<Self, WeightsError> {
        Self::create_stored(path, specs, WeightsStorage::Fp32)
    }

    /// The same with values that are rounded to what `storage` says.
    pub fn create_stored(
        path: &Path,
        mut specs: Vec<TensorSpec>,
        storage: WeightsStorage,
    ) -> Result<Self, WeightsError> {
        specs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let header = header(path, &specs, storage)?;
        let n_data = specs.iter().map(|spec| (n_values(&spec.shape) * storage.value_bytes()) as u64).sum::<u64>();
        let n_bytes = header.len() as u64 + n_data;
        let partial = PartialFile::create(path)?;
        let bytes = Vec::new();
        let mut writer = Self { partial, hasher: blake3::Hasher::new(), bytes, specs, storage, current: None, n_bytes };
        writer.append(&header)?;
        Ok(writer)
    }

    /// The tensors in the order in which they are written.
    pub fn specs(&self) -> &[TensorSpec] {
        &self.specs
    }

    /// The next tensor to fill, or `None` after the last. Fails when the one before is incomplete.
    pub fn next_tensor(&mut self) -> Result<Option<TensorWriter<'_>>, WeightsError> {
        self.check_complete()?;
        let index = self.current.map_or(0, |(index, _)| index + 1);
        if index == self.specs.len() {
            return Ok(None);
        }
        self.current = Some((index, 0));
        Ok(Some(TensorWriter { writer: self, index }))
    }

    /// Puts the file in its place, with its bytes on the disk. Fails when tensors are missing.
    pub fn finish(mut self) -> Result<WrittenWeights, WeightsError> {
        self.check_complete()?;
        let next = self.current.map_or(0, |(index, _)| index + 1);
        if next < self.specs.len() {
            return Err(self.count_error(next, 0));
        }
        let n_bytes = self.n_bytes;
        let path = self.partial.path.clone();
        self.partial.put_in_place().map_err(|source| WeightsError::write(&path, n_bytes, source))?;
        Ok(WrittenWeights { path, n_bytes, digest: self.hasher.finalize().to_hex().to_string() })
    }

    fn check_complete(&self) -> Result<(), WeightsError> {
        match self.current {
            Some((index, written)) if written != n_values(&self.specs[index].shape) => {
                Err(self.count_error(index, written))
            }
            _ => Ok(()),
        }
    }

    fn count_error(&self, index: usize, written: usize) -> WeightsError {
        let TensorSpec { name, shape } = &self.specs[index];
        let (path, name) = (self.partial.path.clone(), quoted(name));
        WeightsError::Count { path, name, written, expected: n_values(shape) }
    }

    fn overflow_error(&self, index: usize, value: f32) -> WeightsError {
        WeightsError::Overflow { name: quoted(&self.specs[index].name), value, storage: self.storage }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), WeightsError> {
        self.hasher.update(bytes);
        let written = self.partial.file.write_all(bytes);
        written.map_err(|source| WeightsError::write(&self.partial.path, self.n_bytes, source))
    }
}

impl TensorWriter<'_> {
    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.writer.specs[self.index].name
    }

    /// The tensor's shape.
    pub fn shape(&self) -> &[usize] {
        &self.writer.specs[self.index].shape
    }

    /// How many values it takes in all.
    pub fn n_values(&self) -> usize {
        n_values(self.shape())
    }

    /// Appends the next values, row-major. Fails when there are more than the shape asks for,
    /// and for a value that the file's storage cannot hold.
    pub fn write(&mut self, values: &[f32]) -> Result<(), WeightsError> {
        let before = self.writer.current.map_or(0, |(_, written)| written);
        let written = before.saturating_add(values.len());
        if written > self.n_values() {
            return Err(self.writer.count_error(self.index, written));
        }
        let mut bytes = std::mem::take(&mut self.writer.bytes);
        for values in values.chunks(CHUNK_VALUES) {
            bytes.clear();
            let encoded = self.writer.storage.encode(values, &mut bytes);
            encoded.map_err(|value| self.writer.overflow_error(self.index, value))?;
            self.writer.append(&bytes)?;
        }
        self.writer.bytes = bytes;
        self.writer.current = Some((self.index, written));
        Ok(())
    }
}

impl PartialFile {
    fn create(path: &Path) -> Result<Self, WeightsError> {
        let write_error = |source| WeightsError::write(path, 0, source);
        let name = path.file_name().ok_or_else(|| write_error(std::io::ErrorKind::IsADirectory.into()))?;
        if path.is_dir() {
            return Err(write_error(std::io::ErrorKind::IsADirectory.into()));
        }
        let name = format!(".partial-{}-{}", std::process::id(), name.to_string_lossy());
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(write_error)?;
        Ok(Self { file, partial, path: path.to_owned(), renamed: false })
    }

    fn put_in_place(&mut self) -> std::io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.path)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.renamed {
            // There is no one left to tell when this fails, and the name says that the file is unfinished.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// The number of values of a shape that [`header`] has checked.
fn n_values(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The length prefix and the JSON header, padded to a multiple of eight bytes as the reference writer does.
fn header(path: &Path, specs: &[TensorSpec], storage: WeightsStorage) -> Result<Vec<u8>, WeightsError> {
    if let Some(pair) = specs.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(WeightsError::Duplicate { path: path.to_owned(), name: quoted(&pair[0].name) });
    }
    let mut tensors = Vec::with_capacity(specs.len());
    let mut start = 0_usize;
    for TensorSpec { name, shape } in specs {
        let n_bytes = shape.iter().try_fold(storage.value_bytes(), |product, &size| product.checked_mul(size));
        let end = n_bytes.and_then(|n_bytes| start.checked_add(n_bytes)).filter(|&end| isize::try_from(end).is_ok());
        let end = end.ok_or_else(|| WeightsError::TooLarge {
            path: path.to_owned(),
            name: quoted(name),
            shape: shape.clone(),
        })?;
        let info = TensorInfo { dtype: storage.dtype(), shape: shape.clone(), data_offsets: (start, end) };
        tensors.push((name.clone(), info));
        start = end;
    }
    let malformed = |reason: String| WeightsError::Malformed { path: path.to_owned(), reason };
    let metadata = Metadata::new(None, tensors).map_err(|error| malformed(error.to_string()))?;
    let mut json = serde_json::to_vec(&metadata).map_err(|error| malformed(error.to_string()))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok(bytes)
}
