use std::fmt;

use half::{bf16, f16};

use super::WeightsDtype;

/// What the values of a weights file are stored as. Readers widen all of them to `f32`, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum WeightsStorage {
    /// As they are.
    #[default]
    Fp32,
    /// Rounded to bfloat16, ties to even: half the bytes, 8 significant bits, the range of `f32`.
    Bf16,
    /// Rounded to IEEE half precision, ties to even: half the bytes, 11 significant bits, magnitudes up to 65504.
    Fp16,
}

impl WeightsStorage {
    /// All of them, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Bf16, Self::Fp16];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
        }
    }

    /// The element type in the file.
    pub const fn dtype(self) -> WeightsDtype {
        match self {
            Self::Fp32 => WeightsDtype::F32,
            Self::Bf16 => WeightsDtype::BF16,
            Self::Fp16 => WeightsDtype::F16,
        }
    }

    /// Bytes of one value.
    pub const fn value_bytes(self) -> usize {
        match self {
            Self::Fp32 => 4,
            Self::Bf16 | Self::Fp16 => 2,
        }
    }

    /// Appends values, little-endian. Gives the first finite value that the rounding makes infinite, if there is one.
    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), f32> {
        match self {
            Self::Fp32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::Bf16 => {
                for &value in values {
                    let rounded = bf16::from_f32(value);
                    fits(value, rounded.is_infinite())?;
                    bytes.extend(rounded.to_le_bytes());
                }
            }
            Self::Fp16 => {
                for &value in values {
                    let rounded = f16::from_f32(value);
                    fits(value, rounded.is_infinite())?;
                    bytes.extend(rounded.to_le_bytes());
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for WeightsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn fits(value: f32, is_infinite: bool) -> Result<(), f32> {
    if is_infinite && value.is_finite() { Err(value) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::WeightsStorage;

    /// The bits of a value in a half type.
    fn bits(storage: WeightsStorage, value: f32) -> Result<u16, f32> {
        let mut bytes = Vec::new();
        storage.encode(&[value], &mut bytes)?;
        Ok(u16::from_le_bytes(bytes.try_into().expect("two bytes")))
    }

    /// What 16 bits mean, from the definition: sign, exponent and mantissa of the given widths.
    fn meaning(bits: u16, exponent_bits: u32) -> f64 {
        let mantissa_bits = 15 - exponent_bits;
        let mantissa = f64::from(bits & ((1 << mantissa_bits) - 1));
        let exponent = i32::from(bits >> mantissa_bits & ((1 << exponent_bits) - 1));
        let bias = (1 << (exponent_bits - 1)) - 1;
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let scale = 2f64.powi(mantissa_bits as i32);
        match exponent {
            0 => sign * mantissa / scale * 2f64.powi(1 - bias),
            _ => sign * (1.0 + mantissa / scale) * 2f64.powi(exponent - bias),
        }
    }

    #[test]
    fn values_are_rounded_to_the_nearest_with_ties_to_even() {
        for (storage, exponent_bits, largest) in
            [(WeightsStorage::Bf16, 8, 0x7f7f_u16), (WeightsStorage::Fp16, 5, 0x7bff)]
        {
            for below in 0..largest {
                let [low, high] = [below, below + 1].map(|bits| meaning(bits, exponent_bits));
                let even = if below % 2 == 0 { below } else { below + 1 };
                let between = |share: f64| (low + (high - low) * share) as f32;
                let above = below + 1;
                let cases = [(0.0, below), (0.25, below), (0.5, even), (0.75, above), (1.0, above)];
                for (value, expected) in cases.map(|(share, expected)| (between(share), expected)) {
                    assert_eq!(bits(storage, value), Ok(expected), "{storage} of {value}");
                    assert_eq!(bits(storage, -value), Ok(expected | 0x8000), "{storage} of -{value}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert_eq!(bits(WeightsStorage::Fp16, 65504.0), Ok(0x7bff));
        assert_eq!(bits(WeightsStorage::Fp16, -65520.0), Err(-65520.0));
        assert_eq!(bits(WeightsStorage::Bf16, f32::MAX), Err(f32::MAX));
        for storage in [WeightsStorage::Bf16, WeightsStorage::Fp16] {
            assert!(bits(storage, f32::INFINITY).is_ok() && bits(storage, f32::NAN).is_ok(), "{storage}");
        }
    }
}
