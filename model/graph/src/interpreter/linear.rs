use super::Operands;
use crate::LiteralData;

/// Outputs that are summed side by side.
const PANEL: usize = 8;

pub(super) fn linear(operands: &Operands<'_>, bias: bool) -> LiteralData {
    let [_, in_features] = operands.sizes(1);
    let bias = bias.then(|| operands.f32(2));
    LiteralData::F32(project(operands.f32(0), operands.count(), in_features, operands.f32(1), bias))
}

/// `x · weightᵀ + bias`: x `[rows, in]`, weight `[out, in]`, bias `[out]`, `n_values = rows * out`; sums in double precision.
pub(super) fn project(
    x: &[f32],
    n_values: usize,
    in_features: usize,
    weight: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let mut values = vec![0.0; n_values];
    if in_features == 0 {
        if let Some(bias) = bias {
            values.chunks_exact_mut(bias.len()).for_each(|row| row.copy_from_slice(bias));
        }
        return values;
    }
    let out_features = weight.len() / in_features;
    let mut panel = vec![[0.0_f64; PANEL]; in_features];
    for first in (0..out_features).step_by(PANEL) {
        let outs = first..out_features.min(first + PANEL);
        for (lane, out) in outs.clone().enumerate() {
            for (place, &w) in panel.iter_mut().zip(&weight[out * in_features..(out + 1) * in_features]) {
                place[lane] = f64::from(w);
            }
        }
        for (x, row) in x.chunks_exact(in_features).zip(values.chunks_exact_mut(out_features)) {
            let mut sums = [0.0_f64; PANEL];
            for (&x, weights) in x.iter().zip(&panel) {
                let x = f64::from(x);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum += x * w;
                }
            }
            for (out, sum) in outs.clone().zip(sums) {
                row[out] = (sum + bias.map_or(0.0, |bias| f64::from(bias[out]))) as f32;
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use crate::DType;
    use crate::interpreter::trial::{f32s, run};

    #[test]
    fn rows_times_rows() {
        let x = f32s(&[1, 2, 2], &[1.0, 2.0, -1.0, 0.5]);
        let weight = f32s(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 2.0, -2.0]);
        let bias = f32s(&[3], &[0.0, 10.0, 1.0]);
        let plain = run([x.clone(), weight.clone()], |_, [x, weight]| x.project(weight, None));
        assert_eq!(plain, Ok(f32s(&[1, 2, 3], &[1.0, 2.0, -2.0, -1.0, 0.5, -3.0])));
        let shifted = run([x, weight, bias], |_, [x, weight, bias]| x.project(weight, Some(bias)));
        assert_eq!(shifted, Ok(f32s(&[1, 2, 3], &[1.0, 12.0, -1.0, -1.0, 10.5, -2.0])));
    }

    #[test]
    fn more_outputs_than_a_panel() {
        let weights: Vec<f32> = (0..11).map(|out| out as f32).collect();
        let y = run([f32s(&[2, 1], &[1.0, -2.0]), f32s(&[11, 1], &weights)], |_, [x, weight]| x.project(weight, None));
        let expected: Vec<f32> = weights.iter().copied().chain(weights.iter().map(|w| -2.0 * w)).collect();
        assert_eq!(y, Ok(f32s(&[2, 11], &expected)));
    }

    #[test]
    fn sums_of_halves_are_rounded_once() {
        // In f16, 2048 + 1 is 2048; the sum of all is not.
        let ones = || f32s(&[1, 3], &[1.0; 3]);
        let sum = |x: [f32; 3], dtype: DType| {
            run([f32s(&[1, 3], &x), ones()], |_, [x, w]| x.cast(dtype).project(w.cast(dtype), None).cast(DType::F32))
        };
        assert_eq!(sum([2048.0, 1.0, 1.0], DType::F16), Ok(f32s(&[1, 1], &[2050.0])));
        assert_eq!(sum([2048.0, 1.0, 1.0], DType::Bf16), Ok(f32s(&[1, 1], &[2048.0])));
        assert_eq!(sum([60_000.0, 60_000.0, 0.0], DType::F16), Ok(f32s(&[1, 1], &[f32::INFINITY])));
    }

    #[test]
    fn sums_do_not_lose_small_terms() {
        let x = f32s(&[1, 3], &[1e8, 1.0, -1e8]);
        let y = run([x, f32s(&[1, 3], &[1.0, 1.0, 1.0])], |_, [x, weight]| x.project(weight, None));
        assert_eq!(y, Ok(f32s(&[1, 1], &[1.0])));
    }

    #[test]
    fn no_features_leave_the_bias() {
        let inputs = [f32s(&[2, 0], &[]), f32s(&[2, 0], &[]), f32s(&[2], &[3.0, 4.0])];
        let y = run(inputs, |_, [x, weight, bias]| x.project(weight, Some(bias)));
        assert_eq!(y, Ok(f32s(&[2, 2], &[3.0, 4.0, 3.0, 4.0])));
    }
}
