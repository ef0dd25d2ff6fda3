//! NumPy's array format. The reader is written for hostile files: lengths and shapes are checked against the size of
//! the file before anything is allocated, which general readers leave to their callers.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::{Array, ArrayData, FileError};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
const FORMAT: &str = ".npy";
/// NumPy pads its headers so that the data starts at a multiple of this.
const ALIGNMENT: usize = 64;
const MAX_HEADER_BYTES: usize = 10_000;
const MAX_RANK: usize = 32;

/// A type of values that arrays are written with.
pub trait Element: Copy + sealed::Sealed {
    /// The type as NumPy spells it.
    const DESCR: &'static str;

    /// Appends the value, little-endian.
    fn append_to(self, bytes: &mut Vec<u8>);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! element {
    ($($type:ty, $descr:literal;)*) => {
        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {
                const DESCR: &'static str = $descr;

                fn append_to(self, bytes: &mut Vec<u8>) {
                    bytes.extend_from_slice(&self.to_le_bytes());
                }
            }
        )*
    };
}

element! {
    f32, "<f4";
    f64, "<f8";
    i64, "<i8";
    u8, "|u1";
}

/// Reads an array of f32, f64, i32, i64 or u8, in C or Fortran order. Fails where the file is not exactly as long as
/// its header says.
pub fn read_npy(path: &Path) -> Result<Array, FileError> {
    let file = File::open(path).map_err(FileError::read(path))?;
    let n_bytes = file.metadata().map_err(FileError::read(path))?.len();
    read_npy_from(&mut BufReader::new(file), n_bytes, path)
}

/// Writes values of this shape, row-major. Fails where their number is not the product of the shape.
pub fn write_npy<T: Element>(writer: &mut impl Write, shape: &[usize], values: &[T]) -> io::Result<()> {
    if n_elements(shape) != Some(values.len()) {
        return Err(io::Error::other(format!("{} values do not have shape {shape:?}", values.len())));
    }
    let mut lengths = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        lengths.push(',');
    }
    let mut header =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({lengths}), }}", T::DESCR).into_bytes();
    let prefix = MAGIC.len() + 4;
    header.resize((prefix + header.len() + 1).next_multiple_of(ALIGNMENT) - prefix - 1, b' ');
    header.push(b'\n');
    let length = u16::try_from(header.len()).map_err(|_| io::Error::other("too many axes"))?;
    writer.write_all(MAGIC)?;
    writer.write_all(&[1, 0])?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(&header)?;
    let mut bytes = Vec::new();
    for values in values.chunks(1 << 14) {
        bytes.clear();
        for value in values {
            value.append_to(&mut bytes);
        }
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads an array that takes `n_bytes` in all; never allocates more than that.
pub(super) fn read_npy_from(reader: &mut impl Read, n_bytes: u64, path: &Path) -> Result<Array, FileError> {
    let wrong = |reason: &str| FileError::format(path, FORMAT, reason);
    let read_error = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => wrong("it ends early"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => wrong(&error.to_string()),
        _ => FileError::read(path)(error),
    };

    let mut prefix = [0; 8];
    reader.read_exact(&mut prefix).map_err(read_error)?;
    if prefix[..6] != *MAGIC {
        return Err(wrong("it does not start like one"));
    }
    let length_bytes = match prefix[6] {
        1 => 2,
        2 | 3 => 4,
        version => return Err(wrong(&format!("it has format version {version}, expected 1 to 3"))),
    };
    let mut length = [0; 4];
    reader.read_exact(&mut length[..length_bytes]).map_err(read_error)?;
    let header_bytes = u32::from_le_bytes(length) as usize;
    if header_bytes > MAX_HEADER_BYTES {
        return Err(wrong(&format!("its header has {header_bytes} bytes, expected at most {MAX_HEADER_BYTES}")));
    }
    let mut header = vec![0; header_bytes];
    reader.read_exact(&mut header).map_err(read_error)?;
    let header = std::str::from_utf8(&header).map_err(|_| wrong("its header is not text"))?;
    let header = Header::parse(header).map_err(|reason| wrong(&reason))?;

    let n_elements = n_elements(&header.shape).ok_or_else(|| wrong("its shape is too large"))?;
    let n_data = n_elements.checked_mul(header.dtype.size()).ok_or_else(|| wrong("its shape is too large"))? as u64;
    let n_present = n_bytes.saturating_sub((prefix.len() + length_bytes + header_bytes) as u64);
    if n_data != n_present {
        return Err(wrong(&format!("its shape {:?} takes {n_data} bytes of data, it has {n_present}", header.shape)));
    }
    let mut data = Vec::new();
    reader.take(n_data).read_to_end(&mut data).map_err(read_error)?;
    if data.len() as u64 != n_data || reader.read(&mut [0]).map_err(read_error)? != 0 {
        return Err(wrong("its length changed while it was read"));
    }
    let data = match header.dtype {
        Dtype::F32 => ArrayData::F32(header.values(&data, f32::from_le_bytes)),
        Dtype::F64 => ArrayData::F64(header.values(&data, f64::from_le_bytes)),
        Dtype::I32 => ArrayData::I32(header.values(&data, i32::from_le_bytes)),
        Dtype::I64 => ArrayData::I64(header.values(&data, i64::from_le_bytes)),
        Dtype::U8 => ArrayData::U8(header.values(&data, u8::from_le_bytes)),
    };
    Ok(Array { shape: header.shape, data })
}

fn n_elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Dtype {
    F32,
    F64,
    I32,
    I64,
    U8,
}

impl Dtype {
    fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    fn parse(descr: &str) -> Result<Self, String> {
        match descr {
            "<f4" => Ok(Self::F32),
            "<f8" => Ok(Self::F64),
            "<i4" => Ok(Self::I32),
            "<i8" => Ok(Self::I64),
            "|u1" => Ok(Self::U8),
            _ => Err(format!("its values have type \"{descr}\", expected <f4, <f8, <i4, <i8 or |u1")),
        }
    }
}

#[derive(PartialEq, Debug)]
struct Header {
    dtype: Dtype,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the Python dictionary with the keys `descr`, `fortran_order` and `shape`.
    fn parse(text: &str) -> Result<Self, String> {
        let mut text = Literal { rest: text };
        let (mut dtype, mut fortran_order, mut shape) = (None, None, None);
        text.expect('{')?;
        while !text.accept('}') {
            let key = text.string()?;
            text.expect(':')?;
            let repeated = match key {
                "descr" => dtype.replace(Dtype::parse(text.string()?)?).is_some(),
                "fortran_order" => fortran_order.replace(text.truth()?).is_some(),
                "shape" => shape.replace(text.tuple()?).is_some(),
                _ => return Err(format!("its header has the unknown key \"{key}\"")),
            };
            if repeated {
                return Err(format!("its header has the key \"{key}\" twice"));
            }
            if !text.accept(',') {
                text.expect('}')?;
                break;
            }
        }
        if !text.rest.trim().is_empty() {
            return Err("its header goes on after the dictionary".to_owned());
        }
        match (dtype, fortran_order, shape) {
            (Some(dtype), Some(fortran_order), Some(shape)) => Ok(Self { dtype, fortran_order, shape }),
            _ => Err("its header lacks \"descr\", \"fortran_order\" or \"shape\"".to_owned()),
        }
    }

    /// The values in row-major order.
    fn values<T: Copy, const N: usize>(&self, bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        let values: Vec<T> = bytes.as_chunks::<N>().0.iter().map(|word| read(*word)).collect();
        if !self.fortran_order || self.shape.len() < 2 || values.is_empty() {
            return values;
        }
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = 1;
        for &length in &self.shape {
            strides.push(stride);
            stride *= length;
        }
        let at = |mut flat: usize| {
            let axes = self.shape.iter().zip(&strides).rev();
            axes.fold(0, |offset, (&length, &stride)| {
                let index = flat % length;
                flat /= length;
                offset + index * stride
            })
        };
        (0..values.len()).map(|flat| values[at(flat)]).collect()
    }
}

/// What is left of a Python literal.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn accept(&mut self, symbol: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, symbol: char) -> Result<(), String> {
        if self.accept(symbol) { Ok(()) } else { Err(format!("its header lacks a \"{symbol}\"")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept('\'') { '\'' } else { '"' };
        if quote == '"' {
            self.expect('"')?;
        }
        let (string, rest) = self.rest.split_once(quote).ok_or("its header has an open string")?;
        self.rest = rest;
        Ok(string)
    }

    fn truth(&mut self) -> Result<bool, String> {
        let rest = self.rest.trim_start();
        for (name, value) in [("True", true), ("False", false)] {
            if let Some(rest) = rest.strip_prefix(name) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("its header has an order that is neither True nor False".to_owned())
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut lengths = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            let rest = self.rest.trim_start();
            let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let length = rest[..n_digits].parse().map_err(|_| "its shape is not a tuple of lengths".to_owned())?;
            self.rest = &rest[n_digits..];
            lengths.push(length);
            if lengths.len() > MAX_RANK {
                return Err(format!("its shape has more than {MAX_RANK} axes"));
            }
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(lengths)
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use std::path::Path;

    use super::{Array, ArrayData, FileError, read_npy_from, write_npy};
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Array, FileError> {
        read_npy_from(&mut &bytes[..], bytes.len() as u64, Path::new("a.npy"))
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    fn reason(bytes: &[u8]) -> String {
        let message = read(bytes).expect_err("a broken file").to_string();
        assert_eq!(message.lines().count(), 2, "{message}");
        message
    }

    #[test]
    fn arrays_go_there_and_back() {
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &[2, 3], &[1.0_f32, -2.0, 3.5, f32::NAN, 0.0, 1e30]).expect("memory has room");
        assert_eq!((bytes.len() - 24) % 64, 0);
        let array = read(&bytes).expect("a whole file");
        assert_eq!(array.shape, [2, 3]);
        assert!(matches!(array.data, ArrayData::F32(values) if values[2] == 3.5 && values[3].is_nan()));
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &[], &[-7_i64]).expect("memory has room");
        assert_eq!(read(&bytes).expect("a scalar"), Array { shape: Vec::new(), data: ArrayData::I64(vec![-7]) });
        assert!(write_npy(&mut Vec::new(), &[2], &[1_u8]).is_err());
    }

    #[test]
    fn fortran_order_is_turned() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n";
        let array = read(&file(header, &[1, 4, 2, 5, 3, 6])).expect("a whole file");
        assert_eq!(array.data, ArrayData::U8(vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn hostile_headers_are_errors() {
        let header = |shape: &str| format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}");
        assert!(reason(b"not an array").contains("does not start like one"));
        assert!(reason(b"\x93NUM").contains("ends early"));
        assert!(reason(b"\x93NUMPY\x09\x00\x00\x00").contains("version 9"));
        assert!(reason(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").contains("4294967295 bytes"));
        assert!(reason(&file(&header("(1000000000000,)"), &[0; 8])).contains("takes 8000000000000 bytes"));
        assert!(reason(&file(&header("(18446744073709551615, 8)"), &[])).contains("too large"));
        assert!(reason(&file(&header("(99999999999999999999999,)"), &[])).contains("tuple of lengths"));
        assert!(reason(&file(&header("(-1,)"), &[])).contains("tuple of lengths"));
        assert!(reason(&file(&header(&format!("({})", "1,".repeat(40))), &[0; 8])).contains("more than 32 axes"));
        assert!(reason(&file(&header("(1,)"), &[0; 9])).contains("takes 8 bytes of data, it has 9"));
        assert!(reason(&file(&header("(1,)").replace("<f8", ">f8"), &[0; 8])).contains(">f8"));
        assert!(reason(&file(&header("(1,)").replace("<f8", "|O"), &[0; 8])).contains("|O"));
        assert!(reason(&file("{'descr': '<f8'}", &[])).contains("lacks"));
        assert!(reason(&file("{'descr': '<f8', 'descr': '<f8'}", &[])).contains("twice"));
        assert!(reason(&file("{'evil': 1}", &[])).contains("unknown key"));
        assert!(reason(&file("{'descr", &[])).contains("open string"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(header in ".{0,80}", data in prop::collection::vec(any::<u8>(), 0..40)) {
            _ = read(&file(&header, &data));
            _ = read(&data);
        }

        #[test]
        fn no_broken_header_panics(cut in 0_usize..70, byte in any::<u8>()) {
            let mut bytes = file("{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }", &[0; 8]);
            bytes[cut] = byte;
            _ = read(&bytes);
            bytes.truncate(cut);
            prop_assert!(read(&bytes).is_err());
        }
    }
}
