//! NumPy's array format, for tokens: integers only, and nothing is allocated before the header is known to be right.

use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy pads its headers so that the data starts at a multiple of this.
const ALIGNMENT: usize = 64;
pub(super) const MAX_HEADER_BYTES: usize = 10_000;
const MAX_RANK: usize = 32;

/// How tokens are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    U8,
    U16,
    I32,
    I64,
}

impl Width {
    const ALL: [(&'static str, Self); 4] =
        [("|u1", Self::U8), ("<u2", Self::U16), ("<i4", Self::I32), ("<i8", Self::I64)];

    fn n_bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }
}

/// What stands before the values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ArrayHeader {
    pub(super) width: Width,
    pub(super) shape: Vec<usize>,
}

impl ArrayHeader {
    /// Reads the header of an array of integers in C order; a flat array may say that it is in Fortran order, as both
    /// are the same there.
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, String> {
        let early = |_: io::Error| "its header ends early or cannot be unpacked".to_owned();
        let mut prefix = [0; 8];
        reader.read_exact(&mut prefix).map_err(early)?;
        if prefix[..6] != *MAGIC {
            return Err("it does not start like a .npy file".to_owned());
        }
        let length_bytes = match prefix[6] {
            1 => 2,
            2 | 3 => 4,
            version => return Err(format!("it has format version {version}, expected 1 to 3")),
        };
        let mut length = [0; 4];
        reader.read_exact(&mut length[..length_bytes]).map_err(early)?;
        let header_bytes = u32::from_le_bytes(length) as usize;
        if header_bytes > MAX_HEADER_BYTES {
            return Err(format!("its header has {header_bytes} bytes, expected at most {MAX_HEADER_BYTES}"));
        }
        let mut header = vec![0; header_bytes];
        reader.read_exact(&mut header).map_err(early)?;
        Self::parse(std::str::from_utf8(&header).map_err(|_| "its header is not text")?)
    }

    /// The product of the shape, if it is a number.
    pub(super) fn n_values(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))
    }

    /// Reads the values, to the end of the data. Fails unless there are as many as the shape says; allocates what
    /// `n_values` says, which the caller checks.
    pub(super) fn values(&self, reader: &mut impl Read) -> Result<Vec<i64>, String> {
        let n_values = self.n_values().ok_or("its shape is too large")?;
        let n_bytes = n_values.checked_mul(self.width.n_bytes()).ok_or("its shape is too large")?;
        let mut bytes = Vec::with_capacity(n_bytes);
        let limit = n_bytes as u64 + 1;
        reader.take(limit).read_to_end(&mut bytes).map_err(|error| one_line(&error.to_string()))?;
        if bytes.len() != n_bytes {
            let relation = if bytes.len() < n_bytes { "fewer" } else { "more" };
            return Err(format!("it has {relation} than the {n_bytes} bytes of its shape"));
        }
        Ok(match self.width {
            Width::U8 => bytes.iter().map(|byte| i64::from(*byte)).collect(),
            Width::U16 => words(&bytes, |word| i64::from(u16::from_le_bytes(word))),
            Width::I32 => words(&bytes, |word| i64::from(i32::from_le_bytes(word))),
            Width::I64 => words(&bytes, i64::from_le_bytes),
        })
    }

    /// Reads the Python dictionary with the keys `descr`, `fortran_order` and `shape`.
    fn parse(text: &str) -> Result<Self, String> {
        let mut text = Literal { rest: text };
        let (mut width, mut fortran_order, mut shape) = (None, None, None);
        text.expect("{")?;
        while !text.accept("}") {
            let key = text.quoted()?;
            text.expect(":")?;
            let repeated = match key {
                "descr" => {
                    let descr = text.quoted()?;
                    let known = Width::ALL.into_iter().find(|(name, _)| *name == descr).map(|(_, width)| width);
                    let known = known.ok_or_else(|| {
                        let descr: String = descr.chars().take(20).collect();
                        format!("its values have type {descr:?}, expected <i4, <i8, <u2 or |u1")
                    })?;
                    width.replace(known).is_some()
                }
                "fortran_order" => fortran_order.replace(text.truth()?).is_some(),
                "shape" => shape.replace(text.lengths()?).is_some(),
                _ => return Err("its header has a key that is not known".to_owned()),
            };
            if repeated {
                return Err(format!("its header has the key {key:?} twice"));
            }
            if !text.accept(",") {
                text.expect("}")?;
                break;
            }
        }
        match (width, fortran_order, shape, text.rest.trim()) {
            (Some(_), Some(true), Some(shape), "") if shape.len() > 1 => Err("it is in Fortran order".to_owned()),
            (Some(width), Some(_), Some(shape), "") => Ok(Self { width, shape }),
            _ => Err("its header is not whole".to_owned()),
        }
    }
}

/// Writes tokens, row-major.
pub(super) fn write(writer: &mut impl Write, width: Width, shape: &[usize], tokens: &[i64]) -> io::Result<()> {
    let descr = Width::ALL.into_iter().find(|(_, other)| *other == width).map_or("", |(name, _)| name);
    let mut lengths = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        lengths.push(',');
    }
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}").into_bytes();
    let prefix = MAGIC.len() + 4;
    header.resize((prefix + header.len() + 1).next_multiple_of(ALIGNMENT) - prefix - 1, b' ');
    header.push(b'\n');
    writer.write_all(MAGIC)?;
    writer.write_all(&[1, 0])?;
    writer.write_all(&u16::try_from(header.len()).map_err(io::Error::other)?.to_le_bytes())?;
    writer.write_all(&header)?;
    let mut bytes = Vec::with_capacity(tokens.len() * width.n_bytes());
    for token in tokens {
        bytes.extend_from_slice(&token.to_le_bytes()[..width.n_bytes()]);
    }
    writer.write_all(&bytes)
}

/// A library's message may span lines; an error is one line of what and one of mending.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn words<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> i64) -> Vec<i64> {
    bytes.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}

/// What is left of a Python literal.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn accept(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.accept(word) { Ok(()) } else { Err(format!("its header lacks a {word:?}")) }
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept("'") { '\'' } else { '"' };
        if quote == '"' {
            self.expect("\"")?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or("its header has an open string")?;
        self.rest = rest;
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool, String> {
        if self.accept("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn lengths(&mut self) -> Result<Vec<usize>, String> {
        let mut lengths = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            if lengths.len() == MAX_RANK {
                return Err(format!("its shape has more than {MAX_RANK} axes"));
            }
            let text = self.rest.trim_start();
            let n_digits = text.bytes().take_while(u8::is_ascii_digit).count();
            lengths.push(text[..n_digits].parse().map_err(|_| "its shape has a length that is not a number")?);
            self.rest = &text[n_digits..];
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(lengths)
    }
}
