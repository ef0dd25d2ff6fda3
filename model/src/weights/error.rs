use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::WeightsStorage;

/// What can go wrong with a weights file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}\ncheck that the file exists and may be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a well-formed `.safetensors` file.
    #[error("{} is not a complete safetensors file: {reason}\ncreate it again with \"egom2p import\" or \"egom2p weights reproducible\"", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has no tensor of this name.
    #[error("{} has no tensor {name}\nimport the weights again with the preset that you want to use", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The tensor's values cannot be read as `f32`.
    #[error("tensor {name} of {} holds {dtype}, expected F32, F16, BF16 or F64\nstore weights as floating point numbers", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The type in the file.
        dtype: String,
    },
    /// A range that reaches beyond the tensor's end was asked for.
    #[error("tensor {name} of {} ends at {len}, expected {end} or more\nask for a range inside the tensor", path.display())]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first position after the range asked for, in values or bytes.
        end: u64,
        /// How many values or bytes the tensor has.
        len: u64,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}\nchoose a folder that exists and may be written to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left on the disk for {}, which needs {n_bytes} bytes\nfree some space or choose another folder", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The size of the whole file.
        n_bytes: u64,
    },
    /// Two tensors of one file have the same name.
    #[error("tensor {name} is listed twice for {}\ngive every tensor its own name", path.display())]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The shapes add up to more bytes than can be addressed.
    #[error("tensor {name} of {} is too large: shape {shape:?}\ncheck the shapes of the preset", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A value is too large for what the file stores.
    #[error("tensor {name} holds {value}, which is too large for {storage}\nstore these weights as fp32")]
    Overflow {
        /// The tensor.
        name: String,
        /// The value.
        value: f32,
        /// What it was to be stored as.
        storage: WeightsStorage,
    },
    /// Another number of values was written for a tensor than its shape says.
    #[error("tensor {name} of {} got {written} values, expected {expected}\nwrite every tensor completely, in the file's order", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// How many values came.
        written: usize,
        /// How many the shape asks for.
        expected: usize,
    },
}

impl WeightsError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// An error of writing; a full disk is told apart because its remedy differs.
    pub(super) fn write(path: &Path, n_bytes: u64, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, n_bytes },
            _ => Self::Write { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = OpenOptions::new().write(true).open("/dev/full").and_then(|mut file| file.write_all(b"x"));
        let error = WeightsError::write(Path::new("model.safetensors"), 1000, full.expect_err("a full device"));
        assert_eq!(
            error.to_string(),
            "no space left on the disk for model.safetensors, which needs 1000 bytes\n\
             free some space or choose another folder"
        );
    }
}
