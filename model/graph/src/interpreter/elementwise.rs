//! Operations on one value at a time, with broadcasting.

use super::{Operands, erf::erf, walk::Walk};
use crate::LiteralData;

pub(super) fn add(operands: &Operands<'_>) -> LiteralData {
    arithmetic(operands, |a, b| a + b, i64::wrapping_add)
}

pub(super) fn sub(operands: &Operands<'_>) -> LiteralData {
    arithmetic(operands, |a, b| a - b, i64::wrapping_sub)
}

pub(super) fn mul(operands: &Operands<'_>) -> LiteralData {
    arithmetic(operands, |a, b| a * b, i64::wrapping_mul)
}

pub(super) fn equal(operands: &Operands<'_>) -> LiteralData {
    LiteralData::Bool(pairs(operands, operands.i64(0), operands.i64(1), |a, b| a == b))
}

pub(super) fn and(operands: &Operands<'_>) -> LiteralData {
    LiteralData::Bool(pairs(operands, operands.bool(0), operands.bool(1), |a, b| a && b))
}

/// [`crate::Op::Where`].
pub(super) fn choose(operands: &Operands<'_>) -> LiteralData {
    match operands.literal(1).data() {
        LiteralData::F32(a) => LiteralData::F32(choices(operands, a, operands.f32(2))),
        LiteralData::I64(a) => LiteralData::I64(choices(operands, a, operands.i64(2))),
        LiteralData::Bool(a) => LiteralData::Bool(choices(operands, a, operands.bool(2))),
    }
}

pub(super) fn silu(operands: &Operands<'_>) -> LiteralData {
    each(operands, |x| x / (1.0 + (-x).exp()))
}

pub(super) fn gelu(operands: &Operands<'_>) -> LiteralData {
    each(operands, |x| x * 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)))
}

pub(super) fn tanh(operands: &Operands<'_>) -> LiteralData {
    each(operands, f64::tanh)
}

fn each(operands: &Operands<'_>, function: impl Fn(f64) -> f64) -> LiteralData {
    LiteralData::F32(operands.f32(0).iter().map(|&x| function(f64::from(x)) as f32).collect())
}

fn arithmetic(
    operands: &Operands<'_>,
    floats: impl Fn(f32, f32) -> f32,
    integers: impl Fn(i64, i64) -> i64,
) -> LiteralData {
    match operands.literal(0).data() {
        LiteralData::F32(a) => LiteralData::F32(pairs(operands, a, operands.f32(1), floats)),
        LiteralData::I64(a) => LiteralData::I64(pairs(operands, a, operands.i64(1), integers)),
        LiteralData::Bool(_) => unreachable!("the builder refuses arithmetic on bool"),
    }
}

fn pairs<T: Copy, R>(operands: &Operands<'_>, a: &[T], b: &[T], function: impl Fn(T, T) -> R) -> Vec<R> {
    let places = Walk::broadcast(operands.literal(0).shape(), operands.shape)
        .zip(Walk::broadcast(operands.literal(1).shape(), operands.shape));
    places.map(|(i, j)| function(a[i], b[j])).collect()
}

fn choices<T: Copy>(operands: &Operands<'_>, a: &[T], b: &[T]) -> Vec<T> {
    let condition = operands.bool(0);
    let walk = |index: usize| Walk::broadcast(operands.literal(index).shape(), operands.shape);
    let places = walk(0).zip(walk(1)).zip(walk(2));
    places.map(|((c, i), j)| if condition[c] { a[i] } else { b[j] }).collect()
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::{bools, f32s, i64s, run};

    #[test]
    fn arithmetic_broadcasts_from_the_right() {
        let a = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let row = f32s(&[3], &[10.0, 20.0, 30.0]);
        let column = f32s(&[2, 1], &[1.0, -1.0]);
        let sum = run([a.clone(), row.clone()], |_, [a, b]| a + b);
        assert_eq!(sum, Ok(f32s(&[2, 3], &[11.0, 22.0, 33.0, 14.0, 25.0, 36.0])));
        let product = run([column, row.clone()], |_, [a, b]| a * b);
        assert_eq!(product, Ok(f32s(&[2, 3], &[10.0, 20.0, 30.0, -10.0, -20.0, -30.0])));
        let difference = run([row, a], |_, [a, b]| a - b);
        assert_eq!(difference, Ok(f32s(&[2, 3], &[9.0, 18.0, 27.0, 6.0, 15.0, 24.0])));
    }

    #[test]
    fn integers_wrap_around() {
        let sum = run([i64s(&[2], &[i64::MAX, 1]), i64s(&[], &[1])], |_, [a, b]| a + b);
        assert_eq!(sum, Ok(i64s(&[2], &[i64::MIN, 2])));
    }

    #[test]
    fn masks_compare_and_combine() {
        let (a, b) = (i64s(&[2, 1], &[0, 3]), i64s(&[1, 3], &[0, 3, 0]));
        let equal = run([a, b], |_, [a, b]| a.equal(b));
        let expected = bools(&[2, 3], &[true, false, true, false, true, false]);
        assert_eq!(equal, Ok(expected.clone()));
        let both = run([expected, bools(&[3], &[true, true, false])], |_, [a, b]| a.and(b));
        assert_eq!(both, Ok(bools(&[2, 3], &[true, false, false, false, true, false])));
    }

    #[test]
    fn a_condition_chooses() {
        let condition = bools(&[2, 1], &[true, false]);
        let inputs = [condition, i64s(&[2], &[1, 2]), i64s(&[], &[7])];
        let chosen = run(inputs, |g, [c, a, b]| g.choose(c, a, b));
        assert_eq!(chosen, Ok(i64s(&[2, 2], &[1, 2, 7, 7])));
    }

    #[test]
    fn activations_take_their_known_values() {
        let x = || [f32s(&[4], &[0.0, 1.0, -1.0, 100.0])];
        assert_eq!(run(x(), |_, [x]| x.silu()), Ok(f32s(&[4], &[0.0, 0.731_058_6, -0.268_941_43, 100.0])));
        assert_eq!(run(x(), |_, [x]| x.gelu()), Ok(f32s(&[4], &[0.0, 0.841_344_8, -0.158_655_26, 100.0])));
        assert_eq!(run(x(), |_, [x]| x.tanh()), Ok(f32s(&[4], &[0.0, 0.761_594_2, -0.761_594_2, 1.0])));
    }

    #[test]
    fn nothing_added_to_nothing_is_nothing() {
        let sum = run([f32s(&[0, 3], &[]), f32s(&[3], &[1.0, 2.0, 3.0])], |_, [a, b]| a + b);
        assert_eq!(sum, Ok(f32s(&[0, 3], &[])));
    }
}
