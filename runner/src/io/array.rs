use std::path::Path;

use super::FileError;

/// An array read from a file, row-major.
#[derive(Clone, PartialEq, Debug)]
pub struct Array {
    /// Length of every axis.
    pub shape: Vec<usize>,
    /// As many values as the product of the shape.
    pub data: ArrayData,
}

/// The values of an [`Array`].
#[derive(Clone, PartialEq, Debug)]
pub enum ArrayData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Bytes.
    U8(Vec<u8>),
}

impl Array {
    /// The values as f64; fails for integers. `path` names the file in the error.
    pub fn floats(&self, path: &Path) -> Result<Vec<f64>, FileError> {
        match &self.data {
            ArrayData::F32(values) => Ok(values.iter().map(|&value| f64::from(value)).collect()),
            ArrayData::F64(values) => Ok(values.clone()),
            ArrayData::I32(_) | ArrayData::I64(_) | ArrayData::U8(_) => Err(self.dtype_error(path, "f32 or f64")),
        }
    }

    /// The values as i64; fails for floats. `path` names the file in the error.
    pub fn integers(&self, path: &Path) -> Result<Vec<i64>, FileError> {
        match &self.data {
            ArrayData::I32(values) => Ok(values.iter().map(|&value| i64::from(value)).collect()),
            ArrayData::I64(values) => Ok(values.clone()),
            ArrayData::U8(values) => Ok(values.iter().map(|&value| i64::from(value)).collect()),
            ArrayData::F32(_) | ArrayData::F64(_) => Err(self.dtype_error(path, "i32, i64 or u8")),
        }
    }

    /// Fails unless the shape is `expected`. `path` names the file in the error.
    pub fn check_shape(&self, path: &Path, expected: &[usize]) -> Result<(), FileError> {
        if self.shape == expected {
            return Ok(());
        }
        Err(FileError::Shape { path: path.to_owned(), expected: expected.to_vec(), got: self.shape.clone() })
    }

    fn dtype_error(&self, path: &Path, expected: &'static str) -> FileError {
        let got = match self.data {
            ArrayData::F32(_) => "f32",
            ArrayData::F64(_) => "f64",
            ArrayData::I32(_) => "i32",
            ArrayData::I64(_) => "i64",
            ArrayData::U8(_) => "u8",
        };
        FileError::Dtype { path: path.to_owned(), expected, got: got.to_owned() }
    }
}
