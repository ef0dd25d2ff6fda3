use std::fmt;

use half::{bf16, f16};

/// The element type of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DType {
    /// 32-bit IEEE 754 float: inputs, outputs, parameters and constants.
    F32,
    /// 16-bit IEEE 754 float: 11 significant bits, magnitudes up to 65504. Only between operations of a graph.
    F16,
    /// The upper half of a 32-bit float: 8 significant bits, the range of `f32`. Only between operations of a graph.
    Bf16,
    /// 64-bit signed integer: token ids, positions, modality indices.
    I64,
    /// One byte, 0 or 1: masks, where `true` permits.
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I64 => 8,
            Self::Bool => 1,
        }
    }

    /// Whether its values are floating-point numbers.
    pub fn is_float(self) -> bool {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => true,
            Self::I64 | Self::Bool => false,
        }
    }

    /// Whether its values are floating-point numbers of 16 bits.
    pub fn is_half(self) -> bool {
        match self {
            Self::F16 | Self::Bf16 => true,
            Self::F32 | Self::I64 | Self::Bool => false,
        }
    }

    /// The value of this type that is nearest to `x`, ties to even; beyond the range it is infinite. Types other than the
    /// half ones give `x` back.
    pub fn round(self, x: f32) -> f32 {
        match self {
            Self::F16 => f16::from_f32(x).to_f32(),
            Self::Bf16 => bf16::from_f32(x).to_f32(),
            Self::F32 | Self::I64 | Self::Bool => x,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::DType;

    fn assert_rounds<const N: usize>(dtype: DType, values: [f32; N], expected: [f32; N]) {
        assert_eq!(values.map(|x| dtype.round(x).to_bits()), expected.map(f32::to_bits), "{dtype} of {values:?}");
    }

    #[test]
    fn halves_round_to_nearest_even() {
        // Neighbours of 1 lie 2^-10 and 2^-7 above it; half way, the even one is taken.
        for (dtype, step) in [(DType::F16, 2.0_f32.powi(-10)), (DType::Bf16, 2.0_f32.powi(-7))] {
            let values = [1.0 + step, 1.0 + step * 0.5, 1.0 + step * 1.5, -1.0 - step * 0.501];
            assert_rounds(dtype, values, [1.0 + step, 1.0, 1.0 + step * 2.0, -1.0 - step]);
        }
    }

    #[test]
    fn halves_have_the_range_of_their_type() {
        let values = [65_519.0, 65_520.0, -1e9, 2.0_f32.powi(-24), 2.0_f32.powi(-26)];
        let expected = [65_504.0, f32::INFINITY, f32::NEG_INFINITY, 2.0_f32.powi(-24), 0.0];
        assert_rounds(DType::F16, values, expected);
        assert!((DType::Bf16.round(1e38) / 1e38 - 1.0).abs() < 2.0_f32.powi(-8));
        assert_rounds(DType::Bf16, [f32::MAX, -f32::MAX], [f32::INFINITY, f32::NEG_INFINITY]);
        assert!(DType::F16.round(f32::NAN).is_nan() && DType::Bf16.round(f32::NAN).is_nan());
        assert_rounds(DType::F32, [f32::MAX, 1e-40], [f32::MAX, 1e-40]);
    }
}
