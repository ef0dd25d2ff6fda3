//! Values as the bytes that ONNX stores: little endian, rows first.

use egom2p_graph::{DType, LiteralData};
use half::{bf16, f16};

/// The bytes of a literal in its own type.
pub(crate) fn literal_bytes(data: &LiteralData) -> Vec<u8> {
    match data {
        LiteralData::F32(values) => float_bytes(values, DType::F32),
        LiteralData::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        LiteralData::Bool(values) => values.iter().map(|&value| u8::from(value)).collect(),
    }
}

/// The bytes of `values`, each rounded to the nearest value of the float type `dtype`, ties to even.
pub(crate) fn float_bytes(values: &[f32], dtype: DType) -> Vec<u8> {
    match dtype {
        DType::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        DType::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        DType::F32 | DType::I64 | DType::Bool => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

/// What people call a float type in front of the weights: `fp32`, `fp16`, `bf16`.
pub(crate) fn precision_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "fp32",
        DType::F16 => "fp16",
        DType::Bf16 => "bf16",
        DType::I64 => "i64",
        DType::Bool => "bool",
    }
}
