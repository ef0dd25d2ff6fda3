use super::TorchGenerator;

/// 2^31 - 1, a Mersenne prime: reduction modulo it is a shift and an addition.
const MODULUS: u64 = 0x7fff_ffff;
const MULTIPLIER: u64 = 1_132_489_760;
const N_DIGITS: usize = 4;
const POWERS: [[u32; 256]; N_DIGITS] = powers();

/// The Exp(1) noise of one sampling call of PyTorch on x86, readable at any index.
///
/// PyTorch draws a tensor of noise from MKL's multiplicative congruential stream, seeded with one output of its own
/// generator: `x_i = a^i x_0 mod (2^31 - 1)` and `noise_i = -ln(x_i / (2^31 - 1))` in fp32, with i the flat row-major
/// index. Modular powers reach any `x_i` in a few multiplications, so a sampler pays for the entries that it looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExponentialNoise {
    first: u64,
}

impl ExponentialNoise {
    /// The stream that `exponential_` starts at this state of the generator; consumes one 32-bit output.
    pub fn new(generator: &mut TorchGenerator) -> Self {
        let seed = u64::from(generator.next_u32()) % MODULUS;
        Self { first: seed.max(1) }
    }

    /// The state of the stream at index 0, in [1, 2^31 - 2].
    pub fn first(&self) -> u32 {
        self.first as u32
    }

    /// The same noise from a flat index on: index 0 of the result is `index` of this stream.
    #[must_use]
    pub fn starting_at(&self, index: u64) -> Self {
        Self { first: self.state_at(index) }
    }

    /// The uniform value in (0, 1] behind the noise at a flat index.
    pub fn uniform_at(&self, index: u64) -> f32 {
        (self.state_at(index) as f64 / MODULUS as f64) as f32
    }

    /// The noise at a flat index: positive, and never zero (PyTorch shifts the distribution by the smallest normal fp32).
    pub fn at(&self, index: u64) -> f32 {
        Self::from_uniform(self.uniform_at(index))
    }

    /// The noise that belongs to a value of [`Self::uniform_at`].
    pub fn from_uniform(uniform: f32) -> f32 {
        (-f64::from(uniform).ln()) as f32 + f32::MIN_POSITIVE
    }

    fn state_at(&self, index: u64) -> u64 {
        // The order of the multiplier divides 2^31 - 2.
        let mut exponent = if index < MODULUS - 1 { index } else { index % (MODULUS - 1) };
        let mut x = self.first;
        for powers in &POWERS {
            if exponent == 0 {
                break;
            }
            x = multiply(x, u64::from(powers[(exponent & 0xff) as usize]));
            exponent >>= 8;
        }
        x
    }
}

const fn multiply(a: u64, b: u64) -> u64 {
    let product = a * b;
    let folded = (product & MODULUS) + (product >> 31);
    if folded >= MODULUS { folded - MODULUS } else { folded }
}

const fn powers() -> [[u32; 256]; N_DIGITS] {
    let mut table = [[1_u32; 256]; N_DIGITS];
    let mut step = MULTIPLIER;
    let mut digit = 0;
    while digit < N_DIGITS {
        let mut power = 1_u64;
        let mut i = 0;
        while i < 256 {
            table[digit][i] = power as u32;
            power = multiply(power, step);
            i += 1;
        }
        step = power;
        digit += 1;
    }
    table
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::{ExponentialNoise, MODULUS, MULTIPLIER};
    use crate::decoding::TorchGenerator;

    #[test]
    fn random_access_equals_the_recurrence() {
        let noise = ExponentialNoise::new(&mut TorchGenerator::new(11));
        let mut x = noise.first;
        for index in 0..200_000_u64 {
            assert_eq!(noise.uniform_at(index), (x as f64 / MODULUS as f64) as f32, "index {index}");
            x = (u128::from(x) * u128::from(MULTIPLIER) % u128::from(MODULUS)) as u64;
        }
    }

    #[test]
    fn far_indices_wrap_with_the_period() {
        let noise = ExponentialNoise::new(&mut TorchGenerator::new(3));
        assert_eq!(noise.uniform_at(5), noise.uniform_at(5 + 7 * (MODULUS - 1)));
        assert_eq!(noise.starting_at(1 << 40).uniform_at(9), noise.uniform_at((1 << 40) + 9));
        assert!(noise.at(u64::MAX) > 0.0);
    }

    #[test]
    fn noise_is_never_zero() {
        assert_eq!(ExponentialNoise::from_uniform(1.0), f32::MIN_POSITIVE);
    }
}
