use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use egom2p_engine_core::{Digest, FileEntry};
use egom2p_graph::{DType, Graph, Literal, Parameters};

use crate::{ExportError, ExternalLayout, ExternalTensor, constants, encoding, external};

/// How many values are turned into bytes at a time.
const CHUNK: usize = 1 << 16;

/// What was written to a weights file.
#[derive(Clone, PartialEq, Debug)]
pub struct WrittenWeights {
    /// Size and digest of the file.
    pub file: FileEntry,
    /// The digest of every tensor's bytes, by its name in the file.
    pub tensors: BTreeMap<String, Digest>,
}

/// Writes the weights file that `layout` describes to `path`: tensor by tensor, so that memory holds one of them.
///
/// `graphs` are those that the layout was made for; their large constants go into the file too. Values of a half type are
/// rounded to the nearest, ties to even; one that the type cannot hold is an error. The same values give the same bytes.
/// What stood at `path` is replaced; on an error, what is there is incomplete.
pub fn write_weights<'a>(
    path: &Path,
    layout: &ExternalLayout,
    graphs: impl IntoIterator<Item = &'a Graph>,
    parameters: &dyn Parameters,
) -> Result<WrittenWeights, ExportError> {
    let constants: BTreeMap<String, &Literal> = graphs
        .into_iter()
        .flat_map(constants::large_constants)
        .map(|literal| (constants::constant_name(literal), literal))
        .collect();
    let file = File::create(path).map_err(ExportError::io("create", path))?;
    let mut sink = Sink { file: BufWriter::with_capacity(1 << 20, file), hasher: blake3::Hasher::new(), n_bytes: 0 };
    let mut tensors = BTreeMap::new();
    for (name, tensor) in layout.tensors() {
        sink.pad(tensor.offset_bytes).map_err(ExportError::io("write", path))?;
        let digest = if let Some(literal) = constants.get(name) {
            sink.write([encoding::literal_bytes(literal.data())])
        } else {
            let values = values(tensor, parameters)?;
            sink.write(values.chunks(CHUNK).map(|chunk| encoding::float_bytes(chunk, tensor.dtype)))
        };
        tensors.insert(name.to_owned(), digest.map_err(ExportError::io("write", path))?);
    }
    sink.file.flush().map_err(ExportError::io("write", path))?;
    let blake3 = Digest::from_bytes(*sink.hasher.finalize().as_bytes());
    Ok(WrittenWeights { file: FileEntry { bytes: sink.n_bytes, blake3 }, tensors })
}

fn values(tensor: &ExternalTensor, parameters: &dyn Parameters) -> Result<Vec<f32>, ExportError> {
    let ExternalTensor { source, dtype, shape, n_bytes, .. } = tensor;
    let values = parameters.parameter(source, shape)?;
    if values.len() as u64 * dtype.size_bytes() as u64 != *n_bytes {
        return Err(ExportError::ValueCount { name: source.clone(), shape: shape.clone(), n_values: values.len() });
    }
    match values.iter().position(|value| value.is_finite() && dtype.round(*value).is_infinite()) {
        Some(place) => Err(ExportError::Overflow {
            name: source.clone(),
            place,
            value: values[place],
            precision: encoding::precision_name(*dtype),
            wider: if *dtype == DType::F16 { "bf16 or fp32" } else { "fp32" },
        }),
        None => Ok(values),
    }
}

/// A file that digests what is written to it.
struct Sink {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl Sink {
    fn pad(&mut self, offset_bytes: u64) -> std::io::Result<()> {
        const ZEROS: [u8; external::ALIGNMENT_BYTES as usize] = [0; external::ALIGNMENT_BYTES as usize];
        while self.n_bytes < offset_bytes {
            let n = (offset_bytes - self.n_bytes).min(external::ALIGNMENT_BYTES);
            self.put(&ZEROS[..n as usize])?;
        }
        Ok(())
    }

    fn write(&mut self, chunks: impl IntoIterator<Item = Vec<u8>>) -> std::io::Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        for bytes in chunks {
            hasher.update(&bytes);
            self.put(&bytes)?;
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}
