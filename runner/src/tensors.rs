//! Named tensors in `.safetensors` files: what `egom2p stage` takes and gives, and what `egom2p compare` reads.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use egom2p_engine_core::{Data, EngineError, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::io::FileError;

/// The largest file that is read whole.
const MAX_BYTES: u64 = 8 << 30;

/// A file of tensors that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TensorsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}\nname a .safetensors file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no safetensors file.
    #[error("{} is not a complete safetensors file: {reason}\nwrite it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor of a type that engines do not take.
    #[error("tensor {name} of {} holds {dtype}, expected F32, I64 or BOOL\nconvert it first", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// A tensor is not what it should be.
    #[error(transparent)]
    Tensor(#[from] EngineError),
}

/// Every tensor of a file, sorted by name. 32-bit and 8-bit integers widen to `i64`, 64-bit floats narrow to `f32`.
pub fn read_tensors(path: &Path) -> Result<Vec<(String, Tensor)>, TensorsError> {
    let unreadable = |source| TensorsError::Read { path: path.to_owned(), source };
    let n_bytes = fs::metadata(path).map_err(unreadable)?.len();
    if n_bytes > MAX_BYTES {
        return Err(unreadable(io::Error::other(format!("{n_bytes} bytes are more than are read at once"))));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let malformed = |error| TensorsError::Malformed { path: path.to_owned(), reason: format!("{error}") };
    let file = SafeTensors::deserialize(&bytes).map_err(malformed)?;
    let mut names = file.names();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| {
            let view = file.tensor(name).map_err(malformed)?;
            let data = data(&view).ok_or_else(|| TensorsError::Dtype {
                path: path.to_owned(),
                name: name.to_owned(),
                dtype: format!("{:?}", view.dtype()),
            })?;
            Ok((name.to_owned(), Tensor::new(view.shape().to_vec(), data)?))
        })
        .collect()
}

/// Writes tensors beside `path` and renames.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), TensorsError> {
    let failed = |error| FileError::write(path)(io::Error::other(error));
    let bytes: Vec<(Dtype, Vec<u8>)> = tensors.iter().map(|(_, tensor)| encode(tensor.data())).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, tensor), (dtype, bytes))| {
        let view = TensorView::new(*dtype, tensor.shape().to_vec(), bytes);
        Ok((name.as_str(), view.map_err(failed)?))
    });
    let views: Vec<_> = views.collect::<Result<_, TensorsError>>()?;
    let file = safetensors::serialize(views, None).map_err(failed)?;
    Ok(crate::io::write_atomically(path, |output| io::Write::write_all(output, &file))?)
}

fn data(view: &TensorView<'_>) -> Option<Data> {
    let bytes = view.data();
    #[allow(clippy::wildcard_enum_match_arm, reason = "the format grows types, and only these are ours")]
    Some(match view.dtype() {
        Dtype::F32 => Data::F32(values(bytes, f32::from_le_bytes)),
        Dtype::F64 => Data::F32(values(bytes, |value| f64::from_le_bytes(value) as f32)),
        Dtype::I64 => Data::I64(values(bytes, i64::from_le_bytes)),
        Dtype::I32 => Data::I64(values(bytes, |value| i64::from(i32::from_le_bytes(value)))),
        Dtype::U8 => Data::I64(bytes.iter().copied().map(i64::from).collect()),
        Dtype::BOOL => Data::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
        _ => return None,
    })
}

fn values<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().copied().map(value).collect()
}

fn encode(data: &Data) -> (Dtype, Vec<u8>) {
    match data {
        Data::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Data::I64(values) => (Dtype::I64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Data::Bool(values) => (Dtype::BOOL, values.iter().map(|&value| u8::from(value)).collect()),
    }
}
