use super::Operands;
use crate::{AttentionMask, LiteralData};

pub(super) fn attention(
    operands: &Operands<'_>,
    heads: usize,
    scale: f32,
    causal: bool,
    mask: AttentionMask,
) -> LiteralData {
    let [batch, queries, q_features] = operands.sizes(0);
    let [_, keys, v_features] = operands.sizes(2);
    let (q, k, v) = (operands.f32(0), operands.f32(1), operands.f32(2));
    let (d, e) = (q_features / heads, v_features / heads);
    let dtype = operands.node.fact.dtype;
    let permitted = |sample: usize, query: usize, key: usize| {
        let by_mask = match mask {
            AttentionMask::None => true,
            AttentionMask::Keys => operands.bool(3)[sample * keys + key],
            AttentionMask::Pairs => operands.bool(3)[(sample * queries + query) * keys + key],
        };
        by_mask && (!causal || key <= query)
    };
    let mut values = vec![0.0; operands.count()];
    let mut scores = Vec::with_capacity(keys);
    let mut sums = vec![0.0_f64; e];
    for sample in 0..batch {
        for query in 0..queries {
            let seen: Vec<usize> = (0..keys).filter(|&key| permitted(sample, query, key)).collect();
            // No key leaves the row at exactly zero.
            if seen.is_empty() {
                continue;
            }
            for head in 0..heads {
                let q_row = &q[(sample * queries + query) * q_features + head * d..][..d];
                scores.clear();
                scores.extend(seen.iter().map(|key| {
                    let k_row = &k[(sample * keys + key) * q_features + head * d..][..d];
                    dot(q_row, k_row) * f64::from(scale)
                }));
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                for score in &mut scores {
                    *score = (*score - largest).exp();
                }
                let total: f64 = scores.iter().sum();
                if dtype.is_half() {
                    for score in &mut scores {
                        *score = f64::from(dtype.round((*score / total) as f32));
                    }
                }
                sums.fill(0.0);
                for (key, weight) in seen.iter().zip(&scores) {
                    let v_row = &v[(sample * keys + key) * v_features + head * e..][..e];
                    for (sum, &value) in sums.iter_mut().zip(v_row) {
                        *sum += weight * f64::from(value);
                    }
                }
                let row = &mut values[(sample * queries + query) * v_features + head * e..][..e];
                for (value, sum) in row.iter_mut().zip(&sums) {
                    *value = if dtype.is_half() { *sum } else { sum / total } as f32;
                }
            }
        }
    }
    LiteralData::F32(values)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use crate::interpreter::trial::{bools, f32s, run};
    use crate::{AttentionMask, Builder, DType, Dim, Literal};

    /// Weights 0.8 and 0.2 for the keys 0 and 1: `softmax([ln 4, 0])`.
    fn two_keys() -> [Literal; 3] {
        let q = f32s(&[1, 2, 1], &[2.0, 2.0]);
        let k = f32s(&[1, 2, 1], &[4_f32.ln() / 2.0, 0.0]);
        let v = f32s(&[1, 2, 2], &[10.0, 0.0, 0.0, 5.0]);
        [q, k, v]
    }

    fn assert_close(actual: &Literal, expected: &[f32]) {
        let actual = actual.as_f32().expect("attention gives floats");
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() < 1e-6, "{actual:?} is not {expected:?}");
        }
    }

    #[test]
    fn weights_are_the_softmax_of_scaled_products() {
        let y = run(two_keys(), |g, qkv| g.attention(qkv, 1, 1.0, (AttentionMask::None, None))).expect("sound");
        assert_close(&y, &[8.0, 1.0, 8.0, 1.0]);
        let y = run(two_keys(), |g, qkv| g.attention(qkv, 1, 0.0, (AttentionMask::None, None))).expect("sound");
        assert_close(&y, &[5.0, 2.5, 5.0, 2.5]);
    }

    #[test]
    fn heads_take_blocks_of_features() {
        // Head 0 sees equal keys, head 1 sees a key that is far ahead.
        let q = f32s(&[1, 1, 2], &[1.0, 100.0]);
        let k = f32s(&[1, 2, 2], &[0.0, 0.0, 0.0, 1.0]);
        let v = f32s(&[1, 2, 2], &[2.0, 3.0, 4.0, 5.0]);
        let y = run([q, k, v], |g, qkv| g.attention(qkv, 2, 1.0, (AttentionMask::None, None))).expect("sound");
        assert_close(&y, &[3.0, 5.0]);
    }

    #[test]
    fn causal_queries_see_no_later_key() {
        let y = run(two_keys(), |g, qkv| g.causal_attention(qkv, 1, 1.0)).expect("sound");
        assert_close(&y, &[10.0, 0.0, 8.0, 1.0]);
    }

    #[test]
    fn masked_keys_count_for_nothing_and_no_key_gives_zero() {
        let [q, k, v] = two_keys();
        let keys = |values: [bool; 2]| {
            let inputs = [q.clone(), k.clone(), v.clone(), bools(&[1, 2], &values)];
            run(inputs, |g, [q, k, v, m]| g.attention([q, k, v], 1, 1.0, (AttentionMask::Keys, Some(m))))
                .expect("sound")
        };
        assert_close(&keys([false, true]), &[0.0, 5.0, 0.0, 5.0]);
        assert_eq!(keys([false, false]), f32s(&[1, 2, 2], &[0.0; 4]));
        let pairs = bools(&[1, 2, 2], &[true, true, false, false]);
        let y =
            run([q, k, v, pairs], |g, [q, k, v, m]| g.attention([q, k, v], 1, 1.0, (AttentionMask::Pairs, Some(m))));
        assert_close(&y.expect("sound"), &[8.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn no_keys_give_zero_and_no_queries_nothing() {
        let attend = |queries: usize, keys: usize| {
            let inputs = [
                f32s(&[2, queries, 1], &vec![1.0; 2 * queries]),
                f32s(&[2, keys, 1], &vec![1.0; 2 * keys]),
                f32s(&[2, keys, 3], &vec![1.0; 6 * keys]),
            ];
            run(inputs, |g, qkv| g.attention(qkv, 1, 1.0, (AttentionMask::None, None)))
        };
        assert_eq!(attend(1, 0), Ok(f32s(&[2, 1, 3], &[0.0; 6])));
        assert_eq!(attend(0, 2), Ok(f32s(&[2, 0, 3], &[])));
        assert_eq!(attend(0, 0), Ok(f32s(&[2, 0, 3], &[])));
    }

    #[test]
    fn scores_beyond_the_range_of_exp_stay_finite() {
        let q = f32s(&[1, 1, 1], &[1e6]);
        let y = run([q, f32s(&[1, 2, 1], &[1e6, -1e6]), f32s(&[1, 2, 1], &[3.0, 4.0])], |g, qkv| {
            g.attention(qkv, 1, 1.0, (AttentionMask::None, None))
        });
        assert_eq!(y, Ok(f32s(&[1, 1, 1], &[3.0])));
    }

    #[test]
    fn weights_of_halves_are_rounded_before_the_product() {
        // Weights 0.9 and 0.1 cancel against values 1 and -9; what f16 and bf16 hold of them does not.
        let attend = |dtype: DType| {
            let inputs = [f32s(&[1, 1, 1], &[1.0]), f32s(&[1, 2, 1], &[1.0, 0.0]), f32s(&[1, 2, 1], &[1.0, -9.0])];
            let y = run(inputs, |g, qkv| {
                let qkv = qkv.map(|part| part.cast(dtype));
                g.attention(qkv, 1, 9.0_f32.ln(), (AttentionMask::None, None)).cast(DType::F32)
            });
            y.expect("sound")
        };
        assert_close(&attend(DType::F32), &[0.0]);
        assert_eq!(attend(DType::F16), f32s(&[1, 1, 1], &[0.899_902_34 - 9.0 * 0.099_975_586]));
        assert_eq!(attend(DType::Bf16), f32s(&[1, 1, 1], &[0.898_437_5 - 9.0 * 0.100_097_656]));
    }

    #[test]
    fn huge_batches_of_nothing_end() {
        let g = Builder::new("trial");
        let shape = || [Dim::from("batch"), Dim::from("tokens"), Dim::from(4)];
        let x = g.input("x", DType::F32, shape());
        let y = g.attention([x, x, x], 1, 1.0, (AttentionMask::None, None)).id();
        let graph = g.finish([("y", y)]).expect("a sound graph");
        let inputs = [("x", f32s(&[usize::MAX / 8, 0, 4], &[]))];
        let outputs = crate::interpreter::interpret(&graph, &inputs, &crate::interpreter::trial::NoParameters);
        assert_eq!(outputs.expect("nothing to do")[0].1.shape(), [usize::MAX / 8, 0, 4]);
    }
}
