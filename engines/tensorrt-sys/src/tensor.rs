use crate::ffi;
use std::fmt;

/// Most dimensions that a tensor has.
pub const MAX_DIMS: usize = ffi::MAX_DIMS;

/// Type of a tensor's elements, in the words of TensorRT's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit float.
    Float,
    /// 16-bit float.
    Half,
    /// 16-bit float with the exponent of a 32-bit one.
    Bf16,
    /// 8-bit float, E4M3.
    Fp8,
    /// 4-bit float, E2M1.
    Fp4,
    /// 8-bit power of two, for scales.
    E8M0,
    /// 8-bit integer.
    Int8,
    /// 8-bit unsigned integer.
    UInt8,
    /// 4-bit integer.
    Int4,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Boolean, one byte.
    Bool,
    /// A type that the headers of the shim do not have, or one that TensorRT has not settled.
    Unknown,
}

impl ElementType {
    pub(crate) fn of(value: i32, table: &ffi::Table) -> Self {
        match table.element_types.name(value) {
            Some("kFLOAT") => Self::Float,
            Some("kHALF") => Self::Half,
            Some("kBF16") => Self::Bf16,
            Some("kFP8") => Self::Fp8,
            Some("kFP4") => Self::Fp4,
            Some("kE8M0") => Self::E8M0,
            Some("kINT8") => Self::Int8,
            Some("kUINT8") => Self::UInt8,
            Some("kINT4") => Self::Int4,
            Some("kINT32") => Self::Int32,
            Some("kINT64") => Self::Int64,
            Some("kBOOL") => Self::Bool,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "float32",
            Self::Half => "float16",
            Self::Bf16 => "bfloat16",
            Self::Fp8 => "float8e4m3",
            Self::Fp4 => "float4e2m1",
            Self::E8M0 => "float8e8m0",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Int4 => "int4",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Unknown => "unknown",
        })
    }
}
