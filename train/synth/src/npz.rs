use std::io::{self, Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// NumPy pads its headers so that the data starts at a multiple of this.
const ALIGNMENT: usize = 64;
/// The quickest: pictures of textures gain little from more.
const LEVEL: i64 = 1;

/// A NumPy archive that is put together in memory. Its bytes depend on its arrays alone.
pub(crate) struct Npz {
    archive: ZipWriter<Cursor<Vec<u8>>>,
}

/// The values of an array.
#[derive(Clone, Copy)]
pub(crate) enum Values<'a> {
    /// Deflated.
    U8(&'a [u8]),
    /// Stored, like `F64`: the last bits of measured values do not compress.
    F32(&'a [f32]),
    /// Stored.
    F64(&'a [f64]),
}

impl Npz {
    pub(crate) fn new() -> Self {
        Self { archive: ZipWriter::new(Cursor::new(Vec::new())) }
    }

    /// Adds an array, row-major. Fails where the values do not have the shape.
    pub(crate) fn add(mut self, name: &str, shape: &[usize], values: Values) -> io::Result<Self> {
        let (descr, n_values, method) = match values {
            Values::U8(values) => ("|u1", values.len(), CompressionMethod::Deflated),
            Values::F32(values) => ("<f4", values.len(), CompressionMethod::Stored),
            Values::F64(values) => ("<f8", values.len(), CompressionMethod::Stored),
        };
        if shape.iter().product::<usize>() != n_values {
            return Err(io::Error::other(format!("{n_values} values do not have shape {shape:?}")));
        }
        let level = (method == CompressionMethod::Deflated).then_some(LEVEL);
        let options = SimpleFileOptions::default().compression_method(method).compression_level(level);
        self.archive.start_file(format!("{name}.npy"), options)?;
        self.archive.write_all(&header(descr, shape)?)?;
        match values {
            Values::U8(values) => self.archive.write_all(values)?,
            Values::F32(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.archive.write_all(&bytes)?;
            }
            Values::F64(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.archive.write_all(&bytes)?;
            }
        }
        Ok(self)
    }

    /// The whole file.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        Ok(self.archive.finish()?.into_inner())
    }
}

/// The start of an array's file, version 1.0 of NumPy's format.
fn header(descr: &str, shape: &[usize]) -> io::Result<Vec<u8>> {
    let mut lengths = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        lengths.push(',');
    }
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}");
    let prefix = 10;
    let padded = (prefix + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', padded - prefix - text.len() - 1));
    text.push('\n');
    let n_bytes = u16::try_from(text.len()).map_err(|_| io::Error::other("too many axes"))?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&n_bytes.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}
