//! Finite scalar quantisation, specification section 3.3. Bounding is done in single precision, as in the published code,
//! so that values at a rounding boundary fall on the same side.

use super::{InterpretError, Operands};
use crate::LiteralData;

/// One channel's number line.
struct Levels {
    count: usize,
    half: f32,
    offset: f32,
    shift: f32,
}

pub(super) fn quantize(operands: &Operands<'_>, levels: &[usize]) -> LiteralData {
    let voxels: usize = operands.shape[1..].iter().product();
    let levels: Vec<_> = levels.iter().map(|&count| Levels::new(count)).collect();
    let mut tokens = Vec::with_capacity(operands.count());
    for latent in operands.f32(0).chunks_exact(levels.len() * voxels) {
        for voxel in 0..voxels {
            let channels = levels.iter().enumerate().rev();
            let token = channels.fold(0, |token, (channel, levels)| {
                token * levels.count + levels.digit(latent[channel * voxels + voxel])
            });
            tokens.push(token as i64);
        }
    }
    LiteralData::I64(tokens)
}

pub(super) fn dequantize(operands: &Operands<'_>, levels: &[usize]) -> Result<LiteralData, InterpretError> {
    let codes: usize = levels.iter().product();
    let voxels: usize = operands.shape[2..].iter().product();
    let mut values = vec![0.0; operands.count()];
    for (tokens, latent) in operands.i64(0).chunks_exact(voxels).zip(values.chunks_exact_mut(levels.len() * voxels)) {
        for (voxel, &id) in tokens.iter().enumerate() {
            let token = usize::try_from(id).ok().filter(|&token| token < codes);
            let mut rest = token.ok_or_else(|| operands.id_error(id, codes))?;
            for (channel, &count) in levels.iter().enumerate() {
                let half_width = (count / 2) as f32;
                latent[channel * voxels + voxel] = ((rest % count) as f32 - half_width) / half_width;
                rest /= count;
            }
        }
    }
    Ok(LiteralData::F32(values))
}

impl Levels {
    fn new(count: usize) -> Self {
        let half = (count - 1) as f32 * 1.001 / 2.0;
        let offset = if count.is_multiple_of(2) { 0.5 } else { 0.0 };
        let shift = f64::from(offset / half).atanh() as f32;
        Self { count, half, offset, shift }
    }

    /// The place of `latent` among the levels, `0..count`.
    fn digit(&self, latent: f32) -> usize {
        let bounded = f64::from(latent + self.shift).tanh() as f32 * self.half - self.offset;
        // NaN casts to 0, the middle; everything else is bounded, so every digit is in range.
        (bounded.round_ties_even() as i64 + (self.count / 2) as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Levels;
    use crate::interpreter::trial::{f32s, i64s, run};

    #[test]
    fn digits_reach_every_level_and_no_further() {
        for count in [2, 3, 5, 8, 1000] {
            let levels = Levels::new(count);
            let digits = [f32::NEG_INFINITY, -50.0, 50.0, f32::INFINITY].map(|latent| levels.digit(latent));
            assert_eq!(digits, [0, 0, count - 1, count - 1]);
            assert_eq!(levels.digit(f32::NAN), count / 2);
        }
        // atanh(0.5 / 3.5035).
        assert!((Levels::new(8).shift - 0.143_695).abs() < 1e-6);
        // With 8 levels a latent of 0 is bounded to 0: tanh undoes the shift.
        assert_eq!(Levels::new(8).digit(0.0), 4);
        // With 5 levels 0.2554 is bounded to 2.002 * tanh(0.2554) = 0.5005, just above the boundary.
        assert_eq!((Levels::new(5).digit(0.2554), Levels::new(5).digit(0.2545)), (3, 2));
    }

    #[test]
    fn the_first_channel_is_the_lowest_digit() {
        // Digits (0, 4), (7, 2), (4, 0) of levels (8, 5).
        let latent = f32s(&[1, 2, 1, 1, 3], &[-9.0, 9.0, 0.0, 9.0, 0.0, -9.0]);
        let tokens = run([latent], |_, [x]| x.fsq_quantize(&[8, 5]));
        assert_eq!(tokens, Ok(i64s(&[1, 1, 1, 3], &[32, 23, 4])));
    }

    #[test]
    fn codes_come_from_digits() {
        let codes = run([i64s(&[1, 1, 1, 3], &[32, 23, 4])], |_, [x]| x.fsq_dequantize(&[8, 5]));
        assert_eq!(codes, Ok(f32s(&[1, 2, 1, 1, 3], &[-1.0, 0.75, 0.0, 1.0, 0.0, -1.0])));
        for id in [40, -1] {
            let error = run([i64s(&[1, 1, 1, 1], &[id])], |_, [x]| x.fsq_dequantize(&[8, 5]));
            assert_eq!(error, Err(format!("trial: fsq_dequantize: id {id} is not below 40\nfeed ids from 0 to 39")));
        }
    }

    #[test]
    fn every_code_of_the_published_levels_comes_back() {
        let levels = [8, 8, 8, 5, 5, 5];
        let tokens: Vec<i64> = (0..64_000).collect();
        // A code times 4 or 2 is a bounded value; atanh of it over the half range undoes the bound.
        let tokens = i64s(&[1, 1, 1, 64_000], &tokens);
        let codes = run([tokens.clone()], |_, [x]| x.fsq_dequantize(&levels)).expect("sound");
        let mut latents = codes.as_f32().expect("floats").to_vec();
        for (channel, values) in latents.chunks_exact_mut(64_000).enumerate() {
            let line = Levels::new(levels[channel]);
            for value in values {
                let bounded = *value * (levels[channel] / 2) as f32;
                *value = ((bounded + line.offset) / line.half).atanh() - line.shift;
            }
        }
        let back = run([f32s(&[1, 6, 1, 1, 64_000], &latents)], |_, [x]| x.fsq_quantize(&levels));
        assert_eq!(back, Ok(tokens));
    }
}
