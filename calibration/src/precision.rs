use std::{fmt, str::FromStr};

use egom2p_graph::DType;

/// What a stage is computed in, where it is safe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Precision {
    /// 32-bit floats throughout.
    Fp32,
    /// 16-bit IEEE 754 floats where it is safe.
    Fp16,
    /// The upper halves of 32-bit floats where it is safe: fewer digits than [`Precision::Fp16`] and no overflow.
    Bf16,
}

/// A name that no precision has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no precision is called {name:?}\nuse fp32, fp16 or bf16; int8 and fp8 need a calibration, which this version does not have"
)]
pub struct UnknownPrecision {
    /// The name that was asked for.
    pub name: String,
}

impl Precision {
    /// Every precision, the widest first.
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Fp16, Self::Bf16];

    /// Its name in commands, bundles and reports: `fp32`, `fp16` or `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
        }
    }

    /// The type of products.
    pub const fn dtype(self) -> DType {
        match self {
            Self::Fp32 => DType::F32,
            Self::Fp16 => DType::F16,
            Self::Bf16 => DType::Bf16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, UnknownPrecision> {
        let precision = Self::ALL.into_iter().find(|precision| precision.name() == name);
        precision.ok_or_else(|| UnknownPrecision { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Precision, UnknownPrecision};

    #[test]
    fn names_come_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        for name in ["int8", "fp8", "FP16", "", "half\n"] {
            let error: UnknownPrecision = name.parse::<Precision>().expect_err("no such precision");
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
        }
    }
}
