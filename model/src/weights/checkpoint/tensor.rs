use std::fmt;
use std::ops::Range;

use crate::weights::file::{Decoder, decode_bf16, decode_f16, decode_f32, decode_f64};
use crate::weights::pickle::{Global, Pickle, Value, ValueId};
use crate::weights::quote::quoted;

/// How many records a tensor may be wrapped in: a parameter around a tensor is one.
const MAX_WRAPPERS: usize = 4;
/// The most axes of a tensor.
const MAX_AXES: usize = 16;

/// A tensor of a checkpoint: a strided view of one storage entry of the archive.
///
/// Two tensors that are equal are the same values in the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// The element type in the archive.
    pub dtype: StoredDtype,
    /// The tensor's shape.
    pub shape: Vec<usize>,
    /// Which storage it views, by the archive's key.
    pub(super) storage: String,
    pub(super) n_storage_values: usize,
    pub(super) offset: usize,
    /// In values, one for each axis.
    pub(super) strides: Vec<usize>,
}

/// The element types of PyTorch storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the types they name")]
pub enum StoredDtype {
    Float32,
    Float16,
    Bfloat16,
    Float64,
    Int64,
    Int32,
    Int16,
    Int8,
    Uint8,
    Bool,
}

impl StoredTensor {
    /// Reads the record that PyTorch pickles for a tensor or a parameter. The error says what is there instead.
    pub(super) fn from_pickle(pickle: &Pickle<'_>, id: ValueId) -> Result<Self, String> {
        let mut id = id;
        for _ in 0..MAX_WRAPPERS {
            let Some((callee, arguments)) = rebuilt(pickle, id) else { break };
            match callee {
                "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                    id = *arguments.first().ok_or("its parameter record is empty")?;
                }
                "_rebuild_tensor_v2" => return Self::from_record(pickle, arguments),
                _ => break,
            }
        }
        Err(format!("it is {}, expected a tensor", pickle.describe(id)))
    }

    /// How many values the tensor has.
    pub fn n_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the values stand one after the other in row-major order.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        let mut axes = self.shape.iter().zip(&self.strides).rev();
        self.n_values() == 0
            || axes.all(|(&size, &stride)| {
                let fits = size == 1 || stride == expected;
                expected *= size;
                fits
            })
    }

    /// The shortest stretch of the storage that holds all values, in values.
    pub(super) fn span(&self) -> Range<usize> {
        if self.n_values() == 0 {
            return self.offset..self.offset;
        }
        let reach: usize = self.shape.iter().zip(&self.strides).map(|(&size, &stride)| (size - 1) * stride).sum();
        self.offset..self.offset + reach + 1
    }

    /// The place of each value in the storage, in row-major order.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        let mut index = vec![0_usize; self.shape.len()];
        (0..self.n_values()).map(move |_| {
            let position = self.offset + index.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum::<usize>();
            for (i, &size) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < size {
                    break;
                }
                *i = 0;
            }
            position
        })
    }

    /// Arguments of `_rebuild_tensor_v2`: storage, offset, shape, strides and what training needs.
    fn from_record(pickle: &Pickle<'_>, arguments: &[ValueId]) -> Result<Self, String> {
        let [storage, offset, shape, strides, ..] = *arguments else {
            return Err("its record is incomplete".into());
        };
        let (dtype, storage, n_storage_values) = storage_of(pickle, storage)?;
        let offset = size(pickle, offset).ok_or("its offset is not a size")?;
        let shape = sizes(pickle, shape).ok_or("its shape is not a tuple of sizes")?;
        let strides = sizes(pickle, strides).ok_or("its strides are not a tuple of sizes")?;
        if shape.len() != strides.len() || shape.len() > MAX_AXES {
            return Err(format!("it has {} axes and {} strides", shape.len(), strides.len()));
        }
        let tensor = Self { dtype, shape, storage, n_storage_values, offset, strides };
        if tensor.fits_its_storage() { Ok(tensor) } else { Err("it reaches beyond its storage".into()) }
    }

    /// Whether every value lies inside the storage, and there are no more of them than the storage has.
    fn fits_its_storage(&self) -> bool {
        let n_values = self.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let axes = self.shape.iter().zip(&self.strides);
        let last = axes.clone().try_fold(self.offset, |last, (&size, &stride)| {
            size.saturating_sub(1).checked_mul(stride).and_then(|reach| last.checked_add(reach))
        });
        if self.n_storage_values > isize::MAX as usize / self.dtype.n_bytes() {
            return false;
        }
        match (n_values, last) {
            (Some(0), Some(_)) => self.offset <= self.n_storage_values,
            (Some(n_values), Some(last)) => n_values <= self.n_storage_values && last < self.n_storage_values,
            _ => false,
        }
    }
}

impl StoredDtype {
    /// The size of one value in bytes.
    pub const fn n_bytes(self) -> usize {
        match self {
            Self::Float64 | Self::Int64 => 8,
            Self::Float32 | Self::Int32 => 4,
            Self::Float16 | Self::Bfloat16 | Self::Int16 => 2,
            Self::Int8 | Self::Uint8 | Self::Bool => 1,
        }
    }

    /// The conversion to `f32`, for the floating point types.
    pub(super) fn decoder(self) -> Option<Decoder> {
        match self {
            Self::Float32 => Some(decode_f32),
            Self::Float16 => Some(decode_f16),
            Self::Bfloat16 => Some(decode_bf16),
            Self::Float64 => Some(decode_f64),
            Self::Int64 | Self::Int32 | Self::Int16 | Self::Int8 | Self::Uint8 | Self::Bool => None,
        }
    }

    fn of_storage(class: Global<'_>) -> Option<Self> {
        match (class.module, class.name) {
            ("torch", "FloatStorage") => Some(Self::Float32),
            ("torch", "HalfStorage") => Some(Self::Float16),
            ("torch", "BFloat16Storage") => Some(Self::Bfloat16),
            ("torch", "DoubleStorage") => Some(Self::Float64),
            ("torch", "LongStorage") => Some(Self::Int64),
            ("torch", "IntStorage") => Some(Self::Int32),
            ("torch", "ShortStorage") => Some(Self::Int16),
            ("torch", "CharStorage") => Some(Self::Int8),
            ("torch", "ByteStorage") => Some(Self::Uint8),
            ("torch", "BoolStorage") => Some(Self::Bool),
            _ => None,
        }
    }
}

impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Bool => "bool",
        })
    }
}

/// Whether a value is a record that one of PyTorch's own rebuilding functions reads.
pub(super) fn is_tensor(pickle: &Pickle<'_>, id: ValueId) -> bool {
    rebuilt(pickle, id).is_some()
}

/// The rebuilding function of `torch._utils` that a value calls, and its arguments.
fn rebuilt<'a, 'p>(pickle: &'a Pickle<'p>, id: ValueId) -> Option<(&'p str, &'a [ValueId])> {
    let Value::Object { callee, arguments, .. } = pickle.value(id) else { return None };
    let global = pickle.global(*callee).filter(|global| global.module == "torch._utils")?;
    Some((global.name, pickle.tuple(*arguments)?))
}

/// The persistent id of a storage: `("storage", class, key, device, number of values)`.
fn storage_of(pickle: &Pickle<'_>, id: ValueId) -> Result<(StoredDtype, String, usize), String> {
    let malformed = || "its storage record is malformed".to_owned();
    let Value::Persistent(reference) = pickle.value(id) else { return Err(malformed()) };
    let Some(&[tag, class, key, _, n_values]) = pickle.tuple(*reference) else { return Err(malformed()) };
    if pickle.text(tag) != Some("storage") {
        return Err(malformed());
    }
    let class = pickle.global(class).ok_or_else(malformed)?;
    let dtype = StoredDtype::of_storage(class).ok_or_else(|| format!("it holds {class}, expected a float storage"))?;
    let key = pickle.text(key).ok_or_else(malformed)?;
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!("its storage key is {}", quoted(key)));
    }
    Ok((dtype, key.to_owned(), size(pickle, n_values).ok_or_else(malformed)?))
}

fn size(pickle: &Pickle<'_>, id: ValueId) -> Option<usize> {
    usize::try_from(pickle.int(id)?).ok()
}

fn sizes(pickle: &Pickle<'_>, id: ValueId) -> Option<Vec<usize>> {
    pickle.tuple(id)?.iter().map(|&item| size(pickle, item)).collect()
}
