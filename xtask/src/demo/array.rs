//! Arrays in NumPy's file format, as `egom2p run` writes them.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::console::failure;

/// Numbers with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

impl Array {
    /// Reads little-endian `float32` or `float64` values.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)
            .with_context(|| format!("{} cannot be read\nsee whether \"egom2p run\" wrote it", path.display()))?;
        Self::parse(&bytes).ok_or_else(|| {
            failure(
                format_args!("{} is no array of floats in NumPy's format", path.display()),
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
        let values: Vec<f64> = if header.contains("'<f4'") {
            data.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value).into()).collect()
        } else if header.contains("'<f8'") {
            data.as_chunks::<8>().0.iter().map(|value| f64::from_le_bytes(*value)).collect()
        } else {
            return None;
        };
        let n_values = shape.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis))?;
        (n_values == values.len()).then_some(Self { shape, values })
    }
}

#[cfg(test)]
mod tests {
    use super::Array;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn floats_are_read_with_their_shape() {
        let data: Vec<u8> = [1f32, -2.5, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let array = Array::parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }\n", &data))
            .expect("an array");
        assert_eq!(array, Array { shape: vec![3, 1], values: vec![1.0, -2.5, 3.0] });
        let line =
            Array::parse(&file("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", &2f64.to_le_bytes()))
                .expect("an array");
        assert_eq!(line.values, [2.0]);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Array::parse(b"\x93NUM"), None);
        assert_eq!(Array::parse(&file("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", &[0; 8])), None);
        assert_eq!(Array::parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (9,), }", &[0; 8])), None);
        assert_eq!(Array::parse(&file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", &[])), None);
    }
}
