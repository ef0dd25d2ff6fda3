//! The exponential function over whole rows, in a form that compilers turn into vector instructions.

/// Values added in fp32 before they join the fp64 sum: short enough that fp32 loses nothing that matters.
const CHUNK: usize = 64;
const N_LANES: usize = 8;

/// Adding and subtracting this rounds an fp32 of small size to a whole number, which then sits in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;
/// ln 2 in two parts: the first has so few bits that a whole number of up to 8 bits times it is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Where e^x leaves the normal range of fp32, rounded up.
const SMALLEST: f32 = -87.0;

/// e^x for x up to 0, to 2.3 units in the last place; below -87, where fp32 leaves its normal range, it is 0.
pub(super) fn exponential(x: f32) -> f32 {
    if x >= SMALLEST { in_normal_range(x) } else { 0.0 }
}

/// e^x for x from -87 to 0. What remains after whole powers of two is at most ln 2 / 2 in size, where the polynomial
/// (a fit of the smallest relative error that is exact at 0) is off by at most 1.1e-7.
#[inline]
fn in_normal_range(x: f32) -> f32 {
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let whole = shifted - ROUNDING;
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let tail = 0.499_992_3 + r * (0.166_671_15 + r * (0.041_890_33 + r * 0.008_312_501));
    let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    (1.0 + (r + (r * r) * tail)) * power_of_two
}

/// The sum of e^(logit - max), or a partial sum once that reaches `enough`: all terms are positive, so whatever holds
/// for a partial sum of that size holds for the whole.
pub(super) fn sum_of_exponentials(logits: &[f32], max: f32, enough: f64) -> f64 {
    let (chunks, rest) = logits.as_chunks::<CHUNK>();
    let mut sum = sum_of_lanes(&chunk_of_exponentials(&padded(rest, f32::NEG_INFINITY), max));
    for chunk in chunks {
        if sum >= enough {
            break;
        }
        sum += sum_of_lanes(&chunk_of_exponentials(chunk, max));
    }
    sum
}

/// Replaces every logit by e^(logit - max) and returns the sum.
pub(super) fn exponentials(logits: &mut [f32], max: f32) -> f64 {
    let mut sum = 0.0;
    for logits in logits.chunks_mut(CHUNK) {
        let chunk = chunk_of_exponentials(&padded(logits, f32::NEG_INFINITY), max);
        logits.copy_from_slice(&chunk[..logits.len()]);
        sum += sum_of_lanes(&chunk);
    }
    sum
}

/// At most a chunk of values, filled up. Loops over arrays of known length become straight vector code.
fn padded(values: &[f32], filler: f32) -> [f32; CHUNK] {
    let mut chunk = [filler; CHUNK];
    chunk[..values.len()].copy_from_slice(values);
    chunk
}

/// What is below the normal range counts as its end: 1e-38, which no sum of vocabulary size notices.
fn chunk_of_exponentials(logits: &[f32; CHUNK], max: f32) -> [f32; CHUNK] {
    logits.map(|logit| {
        let x = logit - max;
        in_normal_range(if x > SMALLEST { x } else { SMALLEST })
    })
}

/// The fp32 sum of a chunk, in lanes.
fn sum_of_lanes(weights: &[f32; CHUNK]) -> f64 {
    let mut lanes = [0.0_f32; N_LANES];
    for group in weights.as_chunks::<N_LANES>().0 {
        for lane in 0..N_LANES {
            lanes[lane] += group[lane];
        }
    }
    let quarters: [f32; 4] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 4]);
    f64::from((quarters[0] + quarters[2]) + (quarters[1] + quarters[3]))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::{exponential, exponentials, sum_of_exponentials};

    /// Largest error found over the grid below, in units of the last place.
    const MAX_ULPS: f64 = 2.3;

    #[test]
    fn is_accurate_over_its_range() {
        let mut worst: f64 = 0.0;
        for i in 0..2_000_000_u32 {
            let x = -87.0 * (i as f32 / 2_000_000.0);
            let exact = f64::from(x).exp();
            let ulp = f64::from((exact as f32).next_up()) - f64::from(exact as f32);
            worst = worst.max((f64::from(exponential(x)) - exact).abs() / ulp);
        }
        assert!(worst <= MAX_ULPS, "largest error {worst} units in the last place");
    }

    #[test]
    fn is_exact_at_the_ends() {
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(-87.5), 0.0);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert_eq!(exponential(f32::MIN), 0.0);
    }

    #[test]
    fn sums_agree_with_each_other_and_with_fp64() {
        let logits: Vec<f32> = (0..1003).map(|i| -((i * 37 % 211) as f32) / 10.0).collect();
        let exact: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let mut weights = logits.clone();
        let stored = exponentials(&mut weights, 0.0);
        let streamed = sum_of_exponentials(&logits, 0.0, f64::INFINITY);
        assert!((stored / exact - 1.0).abs() < 1e-6 && (streamed / exact - 1.0).abs() < 1e-6);
        let pairs = logits.iter().zip(&weights);
        assert!(pairs.into_iter().all(|(&logit, &weight)| weight == exponential(logit)));
    }

    #[test]
    fn a_partial_sum_stops_when_it_is_enough() {
        let logits = vec![0.0; 1000];
        let partial = sum_of_exponentials(&logits, 0.0, 100.0);
        assert!((100.0..200.0).contains(&partial), "{partial}");
    }
}
