use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use egom2p_engine_core::{Digest, FileEntry};
use egom2p_graph::{DType, Graph, Literal, LiteralData, Parameters};

use crate::{ExportError, ExternalLayout, ExternalTensor, external};

/// What was written to a weights file.
#[derive(Clone, PartialEq, Debug)]
pub struct WrittenWeights {
    /// Size and digest of the file.
    pub file: FileEntry,
    /// The digest of every tensor's bytes, by name.
    pub tensors: BTreeMap<String, Digest>,
}

/// Writes the weights file that `layout` describes to `path`: tensor by tensor, so that memory holds one of them.
///
/// `graphs` are those that the layout was made for; their large constants go into the file too. The same values give the
/// same bytes. What stood at `path` is replaced; on an error, what is there is incomplete.
pub fn write_weights<'a>(
    path: &Path,
    layout: &ExternalLayout,
    graphs: impl IntoIterator<Item = &'a Graph>,
    parameters: &dyn Parameters,
) -> Result<WrittenWeights, ExportError> {
    let constants: BTreeMap<String, &Literal> = graphs
        .into_iter()
        .flat_map(external::large_constants)
        .map(|literal| (external::constant_name(literal), literal))
        .collect();
    let file = File::create(path).map_err(ExportError::io("create", path))?;
    let mut sink = Sink { file: BufWriter::with_capacity(1 << 20, file), hasher: blake3::Hasher::new(), n_bytes: 0 };
    let mut tensors = BTreeMap::new();
    for (name, tensor) in layout.tensors() {
        sink.pad(tensor.offset_bytes).map_err(ExportError::io("write", path))?;
        let digest = match constants.get(name) {
            Some(literal) => sink.write(literal.data()),
            None => sink.write(&LiteralData::F32(values(name, tensor, parameters)?)),
        };
        tensors.insert(name.to_owned(), digest.map_err(ExportError::io("write", path))?);
    }
    sink.file.flush().map_err(ExportError::io("write", path))?;
    let blake3 = Digest::from_bytes(*sink.hasher.finalize().as_bytes());
    Ok(WrittenWeights { file: FileEntry { bytes: sink.n_bytes, blake3 }, tensors })
}

fn values(name: &str, tensor: &ExternalTensor, parameters: &dyn Parameters) -> Result<Vec<f32>, ExportError> {
    debug_assert_eq!(tensor.dtype, DType::F32, "parameters are floats");
    let values = parameters.parameter(name, &tensor.shape)?;
    if values.len() as u64 * tensor.dtype.size_bytes() as u64 == tensor.n_bytes {
        Ok(values)
    } else {
        Err(ExportError::ValueCount { name: name.to_owned(), shape: tensor.shape.clone(), n_values: values.len() })
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

    fn write(&mut self, data: &LiteralData) -> std::io::Result<Digest> {
        const CHUNK: usize = 1 << 16;
        let mut hasher = blake3::Hasher::new();
        let mut put = |bytes: Vec<u8>| {
            hasher.update(&bytes);
            self.put(&bytes)
        };
        match data {
            LiteralData::F32(values) => values
                .chunks(CHUNK)
                .try_for_each(|chunk| put(chunk.iter().flat_map(|value| value.to_le_bytes()).collect())),
            LiteralData::I64(_) | LiteralData::Bool(_) => put(external::little_endian(data)),
        }?;
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.n_bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}
