//! Arrays in NumPy's file formats, as `egom2p run` and NumPy write them.

use std::{
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use zip::ZipArchive;

use crate::console::failure;

/// Numbers with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

/// Arrays by name in one `.npz` file.
pub(super) struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Array {
    /// Reads little-endian `float32` or `float64` values, or unsigned integers of one or two bytes.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)
            .with_context(|| format!("{} cannot be read\nsee whether \"egom2p run\" wrote it", path.display()))?;
        Self::parse(&bytes).ok_or_else(|| {
            failure(
                format_args!("{} is no array of numbers in NumPy's format", path.display()),
                "see whether \"egom2p run\" wrote it",
            )
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"\x93NUMPY\x01\0")?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (header, data) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let header = str::from_utf8(header).ok()?;
        if header.contains("'fortran_order': True") {
            return None;
        }
        let shape = header.split_once("'shape': (")?.1.split_once(')')?.0;
        let shape = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty()).map(|axis| axis.parse().ok());
        let shape: Vec<usize> = shape.collect::<Option<_>>()?;
        let kind = header.split_once("'descr': '")?.1.split_once('\'')?.0;
        let values: Vec<f64> = match kind {
            "|u1" => data.iter().map(|value| f64::from(*value)).collect(),
            "<u2" => data.as_chunks().0.iter().map(|value| u16::from_le_bytes(*value).into()).collect(),
            "<f4" => data.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value).into()).collect(),
            "<f8" => data.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value)).collect(),
            _ => return None,
        };
        let n_values = shape.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis))?;
        (n_values == values.len()).then_some(Self { shape, values })
    }
}

impl Archive {
    /// Reads a file, whose arrays are unpacked when they are asked for.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)
            .with_context(|| format!("{} cannot be read\ntake it from the repository again", path.display()))?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// The array of a name.
    pub(super) fn array(&self, name: &str) -> Result<Array> {
        let array = || {
            let mut archive = ZipArchive::new(Cursor::new(&self.bytes)).ok()?;
            let mut bytes = Vec::new();
            archive.by_name(&format!("{name}.npy")).ok()?.read_to_end(&mut bytes).ok()?;
            Array::parse(&bytes)
        };
        array().ok_or_else(|| {
            failure(
                format_args!("{} has no array {name} of numbers", self.path.display()),
                "take it from the repository again",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Array;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn numbers_are_read_with_their_shape() {
        let data: Vec<u8> = [1f32, -2.5, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let array = Array::parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }\n", &data))
            .expect("an array");
        assert_eq!(array, Array { shape: vec![3, 1], values: vec![1.0, -2.5, 3.0] });
        for (descr, data, values) in [
            ("<f8", &2f64.to_le_bytes()[..], &[2.0][..]),
            ("|u1", &[0, 255], &[0.0, 255.0]),
            ("<u2", &[1, 2, 255, 255], &[513.0, 65535.0]),
        ] {
            let n = values.len();
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({n},), }}\n");
            assert_eq!(Array::parse(&file(&header, data)).expect("an array").values, values);
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Array::parse(b"\x93NUM"), None);
        assert_eq!(Array::parse(&file("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", &[0; 8])), None);
        assert_eq!(Array::parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }", &[0; 8])), None);
        assert_eq!(Array::parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", &[])), None);
    }
}
