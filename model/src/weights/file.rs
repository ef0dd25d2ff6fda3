use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub use safetensors::Dtype as WeightsDtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::quote::quoted;
use super::{CHUNK_VALUES, WeightsError};

/// The longest header that is read, in bytes: the limit of the format's reference implementation.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// One `.safetensors` file, opened: its header is in memory, its tensors are read on demand and in pieces.
///
/// Reading takes `&self`, so several threads may read at once.
#[derive(Debug)]
pub struct WeightsFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    names: Vec<String>,
    data_start: u64,
    n_bytes: u64,
}

impl WeightsFile {
    /// Opens a file and checks its header against the file's size.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let malformed = |reason: String| WeightsError::Malformed { path: path.to_owned(), reason };
        let read_error = |source| WeightsError::read(path, source);
        let file = File::open(path).map_err(read_error)?;
        let n_bytes = file.metadata().map_err(read_error)?.len();
        if n_bytes < 8 {
            return Err(malformed(format!("it has {n_bytes} bytes, the header alone takes more")));
        }
        let mut prefix = [0_u8; 8];
        file.read_exact_at(&mut prefix, 0).map_err(read_error)?;
        let n_header = u64::from_le_bytes(prefix);
        if n_header > MAX_HEADER_BYTES || n_header > n_bytes - 8 {
            return Err(malformed(format!("its header should have {n_header} bytes, the file has {n_bytes}")));
        }
        let mut header = vec![0_u8; n_header as usize];
        file.read_exact_at(&mut header, 8).map_err(read_error)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| malformed(quoted(&error.to_string())))?;
        let data_start = 8 + n_header;
        let end = data_start.checked_add(metadata.data_len() as u64);
        if end != Some(n_bytes) {
            let n_data = metadata.data_len();
            return Err(malformed(format!("its tensors take {n_data} bytes, the file has {}", n_bytes - data_start)));
        }
        let mut names = metadata.offset_keys();
        names.sort_unstable();
        Ok(Self { path: path.to_owned(), file, metadata, names, data_start, n_bytes })
    }

    /// The file's path, as given to [`open`](Self::open).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize], WeightsError> {
        Ok(&self.info(name)?.shape)
    }

    /// The element type that a tensor is stored with.
    pub fn dtype(&self, name: &str) -> Result<WeightsDtype, WeightsError> {
        Ok(self.info(name)?.dtype)
    }

    /// How many bytes a tensor's stored values take.
    pub fn tensor_bytes(&self, name: &str) -> Result<u64, WeightsError> {
        let (start, end) = self.info(name)?.data_offsets;
        Ok((end - start) as u64)
    }

    /// The size of the whole file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// A whole tensor as `f32`, row-major. `F16`, `BF16` and `F64` are converted, other types refused.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let info = self.info(name)?;
        let mut values = vec![0.0; info.shape.iter().product()];
        self.read_f32_into(name, 0, &mut values)?;
        Ok(values)
    }

    /// Fills `values` with the tensor's values from flat index `start` on, converted like [`read_f32`](Self::read_f32).
    pub fn read_f32_into(&self, name: &str, start: usize, values: &mut [f32]) -> Result<(), WeightsError> {
        let dtype = self.info(name)?.dtype;
        let decode = decoder(dtype).ok_or_else(|| WeightsError::Dtype {
            path: self.path.clone(),
            name: quoted(name),
            dtype: dtype.to_string(),
        })?;
        let width = dtype.bitsize() / 8;
        let mut bytes = vec![0_u8; values.len().min(CHUNK_VALUES) * width];
        let mut position = (start as u64).saturating_mul(width as u64);
        for chunk in values.chunks_mut(CHUNK_VALUES) {
            let bytes = &mut bytes[..chunk.len() * width];
            self.read_bytes_into(name, position, bytes)?;
            decode(bytes, chunk);
            position += bytes.len() as u64;
        }
        Ok(())
    }

    /// Fills `bytes` with the tensor's stored bytes (little-endian) from byte `start` on.
    pub fn read_bytes_into(&self, name: &str, start: u64, bytes: &mut [u8]) -> Result<(), WeightsError> {
        let (first, last) = self.info(name)?.data_offsets;
        let len = (last - first) as u64;
        let end = start.saturating_add(bytes.len() as u64);
        if end > len {
            return Err(WeightsError::OutOfRange { path: self.path.clone(), name: quoted(name), end, len });
        }
        let position = self.data_start + first as u64 + start;
        self.file.read_exact_at(bytes, position).map_err(|source| WeightsError::read(&self.path, source))
    }

    /// The BLAKE3 digest of the whole file, in hexadecimal.
    pub fn digest(&self) -> Result<String, WeightsError> {
        let mut hasher = blake3::Hasher::new();
        self.hash_range(&mut hasher, 0, self.n_bytes)?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The BLAKE3 digest of one tensor, in hexadecimal: of its type, shape and stored bytes, not of its name.
    pub fn tensor_digest(&self, name: &str) -> Result<String, WeightsError> {
        let info = self.info(name)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{}{:?}", info.dtype, info.shape).as_bytes());
        let (start, end) = info.data_offsets;
        self.hash_range(&mut hasher, self.data_start + start as u64, (end - start) as u64)?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn hash_range(&self, hasher: &mut blake3::Hasher, start: u64, len: u64) -> Result<(), WeightsError> {
        let mut buffer = vec![0_u8; (len as usize).min(4 * CHUNK_VALUES)];
        let (mut position, end) = (start, start + len);
        while position < end {
            let n = ((end - position) as usize).min(buffer.len());
            let read = self.file.read_exact_at(&mut buffer[..n], position);
            read.map_err(|source| WeightsError::read(&self.path, source))?;
            hasher.update(&buffer[..n]);
            position += n as u64;
        }
        Ok(())
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, WeightsError> {
        let missing = || WeightsError::Missing { path: self.path.clone(), name: quoted(name) };
        self.metadata.info(name).ok_or_else(missing)
    }
}

/// A conversion from stored bytes to values; the two slices describe the same number of values.
pub(super) type Decoder = fn(&[u8], &mut [f32]);

/// The conversion for a type, where there is one.
fn decoder(dtype: WeightsDtype) -> Option<Decoder> {
    match dtype {
        WeightsDtype::F32 => Some(decode_f32),
        WeightsDtype::F16 => Some(decode_f16),
        WeightsDtype::BF16 => Some(decode_bf16),
        WeightsDtype::F64 => Some(decode_f64),
        _ => None,
    }
}

/// Little-endian `f32` bytes to values.
pub(super) fn decode_f32(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*bytes);
    }
}

/// Little-endian IEEE half precision to values, exactly.
pub(super) fn decode_f16(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = half::f16::from_le_bytes(*bytes).to_f32();
    }
}

/// Little-endian bfloat16 to values, exactly.
pub(super) fn decode_bf16(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = half::bf16::from_le_bytes(*bytes).to_f32();
    }
}

/// Little-endian `f64` to values, rounded to the nearest `f32`.
pub(super) fn decode_f64(bytes: &[u8], values: &mut [f32]) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *value = f64::from_le_bytes(*bytes) as f32;
    }
}
