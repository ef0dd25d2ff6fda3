use egom2p_graph::{DType, Literal, LiteralData};

/// How far a backend may be from the interpreter, which sums in double precision and rounds once.
///
/// A value may differ by `absolute + relative * largest`, where `largest` is the largest finite magnitude of the tensor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tolerance {
    /// What kind of arithmetic it is for.
    pub name: &'static str,
    /// The part that does not depend on the values.
    pub absolute: f64,
    /// The part in units of the largest magnitude.
    pub relative: f64,
}

impl Tolerance {
    /// Values that are moved, compared or rounded to whole numbers.
    pub const EXACT: Self = Self { name: "exact", absolute: 0.0, relative: 0.0 };
    /// One rounding, or a handful.
    pub const ROUNDED: Self = Self { name: "rounded", absolute: 0.0, relative: 3e-7 };
    /// Single-precision approximations of `exp`, `tanh` and `erf`, times a value of up to about ten. ONNX Runtime's
    /// sigmoid is off by 7.5e-8 at -8.
    pub const FUNCTION: Self = Self { name: "function", absolute: 2e-6, relative: 1e-6 };
    /// Sums of up to a few hundred products in single precision.
    pub const SUM: Self = Self { name: "sum", absolute: 1e-9, relative: 2e-6 };
    /// Differences from a mean that is a thousand times larger than they are.
    pub const OFFSET: Self = Self { name: "offset", absolute: 1e-9, relative: 2e-4 };
    /// Operations on `f16`, of which a backend may keep results in a wider type until they are stored: one step of the last
    /// digit (2^-10), and one of the smallest values (2^-24). ONNX Runtime comes to 0.78 of it, in self-attention.
    pub const FP16: Self = Self { name: "fp16", absolute: 6e-8, relative: 1e-3 };
    /// Operations on `bf16`: one step of the last digit (2^-7), eight times that of `f16`. Not measured: no backend on CPUs has
    /// arithmetic on it.
    pub const BF16: Self = Self { name: "bf16", absolute: 1e-37, relative: 8e-3 };

    /// The tolerance of arithmetic on a type.
    pub fn of_half(dtype: DType) -> Self {
        match dtype {
            DType::F16 => Self::FP16,
            DType::Bf16 => Self::BF16,
            DType::F32 | DType::I64 | DType::Bool => Self::EXACT,
        }
    }

    /// How far `actual` is from `expected` in units of what is allowed: at most 1 where it agrees. The message says what
    /// cannot be compared.
    pub fn share(&self, expected: &Literal, actual: &Literal) -> Result<f64, String> {
        if expected.shape() != actual.shape() || expected.dtype() != actual.dtype() {
            let form = |value: &Literal| format!("{}{:?}", value.dtype(), value.shape());
            return Err(format!("expected {}, got {}", form(expected), form(actual)));
        }
        let (LiteralData::F32(expected), LiteralData::F32(actual)) = (expected.data(), actual.data()) else {
            return if expected == actual { Ok(0.0) } else { Err(differing(expected, actual)) };
        };
        let magnitudes = expected.iter().filter(|value| value.is_finite()).map(|value| f64::from(value.abs()));
        let allowed = self.absolute + self.relative * magnitudes.fold(0.0, f64::max);
        let mut largest = 0.0_f64;
        for (place, (&expected, &actual)) in expected.iter().zip(actual).enumerate() {
            let (e, a) = (f64::from(expected), f64::from(actual));
            // The same bits, infinities among them, and any two forms of NaN.
            if expected.to_bits() == actual.to_bits() || (e.is_nan() && a.is_nan()) {
                continue;
            }
            // Nothing is allowed where everything is zero; a zero of either sign is one.
            let share = if (e - a).abs() > 0.0 { (e - a).abs() / allowed } else { 0.0 };
            if share.is_nan() || share > 1.0 || e.is_nan() || a.is_nan() {
                return Err(format!("value {place}: expected {expected:e}, got {actual:e}, allowed {allowed:.1e}"));
            }
            largest = largest.max(share);
        }
        Ok(largest)
    }
}

fn differing(expected: &Literal, actual: &Literal) -> String {
    let place = match (expected.data(), actual.data()) {
        (LiteralData::I64(e), LiteralData::I64(a)) => e.iter().zip(a).position(|(e, a)| e != a),
        (LiteralData::Bool(e), LiteralData::Bool(a)) => e.iter().zip(a).position(|(e, a)| e != a),
        _ => None,
    };
    format!("values differ, the first at place {place:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(values: &[f32]) -> Literal {
        Literal::f32([values.len()], values.to_vec()).expect("counted")
    }

    #[test]
    fn differences_are_measured_against_the_largest_value() {
        let tolerance = Tolerance { name: "test", absolute: 0.5, relative: 0.25 };
        let expected = f32s(&[2.0, 0.0]);
        assert_eq!(tolerance.share(&expected, &expected), Ok(0.0));
        assert_eq!(tolerance.share(&expected, &f32s(&[2.0, 0.5])), Ok(0.5));
        assert!(tolerance.share(&expected, &f32s(&[2.0, 1.25])).is_err());
        assert!(tolerance.share(&expected, &f32s(&[2.0, f32::NAN])).is_err());
        assert!(tolerance.share(&expected, &f32s(&[2.0, f32::INFINITY])).is_err());
        assert!(tolerance.share(&expected, &f32s(&[2.0])).is_err());
        assert!(tolerance.share(&expected, &Literal::i64([2], vec![2, 0]).expect("counted")).is_err());
        let special = f32s(&[f32::INFINITY, f32::NAN]);
        assert_eq!(Tolerance::EXACT.share(&special, &special), Ok(0.0));
        assert!(Tolerance::EXACT.share(&f32s(&[1.0]), &f32s(&[1.000_000_1])).is_err());
    }
}
