use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// Random numbers that follow from a seed, a purpose and an index, so that any of them can be drawn again at any time.
///
/// It is `ChaCha` with 8 rounds: seed and purpose are its key, the index is its stream. The numbers are the same on every
/// machine and in every version.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    generator: ChaCha8Rng,
    spare_normal: Option<f64>,
}

impl Random {
    /// The numbers of this purpose and index, from the first on. A purpose has at most 24 bytes.
    pub(crate) fn new(seed: u64, purpose: &str, index: u64) -> Self {
        debug_assert!(purpose.len() <= 24, "{purpose} does not fit the key");
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (byte, letter) in key[8..].iter_mut().zip(purpose.bytes()) {
            *byte = letter;
        }
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(index);
        Self { generator, spare_normal: None }
    }

    /// The numbers of something with a name: its index is the name's FNV-1a hash.
    pub(crate) fn named(seed: u64, purpose: &str, name: &str) -> Self {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        Self::new(seed, purpose, name.bytes().fold(0xCBF2_9CE4_8422_2325, hash))
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..n`; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.generator.next_u64()) * n as u128) >> 64) as usize
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(normal) = self.spare_normal.take() {
            return normal;
        }
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.unit()).sin_cos();
        self.spare_normal = Some(radius * sine);
        radius * cosine
    }

    /// The logarithm of a gamma variate of scale 1 (Marsaglia and Tsang 2000), which shapes near 0 do not make underflow.
    pub(crate) fn log_gamma(&mut self, shape: f64) -> f64 {
        // The method needs a shape of at least 1; Gamma(a) is Gamma(a + 1) times U^(1/a).
        let boost = (1.0 - self.unit()).ln() / shape;
        let d = shape + 1.0 - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let normal = self.normal();
            let v = (1.0 + c * normal).powi(3);
            let u = 1.0 - self.unit();
            if v > 0.0 && u.ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
                return (d * v).ln() + boost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    const N: usize = 40_000;
    /// How far a mean may be from what it estimates, in its standard errors; the draws are fixed.
    const STANDARD_ERRORS: f64 = 4.0;

    fn assert_mean(what: &str, values: &[f64], mean: f64, deviation: f64) {
        let actual = values.iter().sum::<f64>() / values.len() as f64;
        let error = deviation / (values.len() as f64).sqrt();
        assert!((actual - mean).abs() <= STANDARD_ERRORS * error, "{what}: {actual}, expected {mean}, error {error}");
    }

    #[test]
    fn seed_purpose_and_index_all_matter() {
        let first = |seed, purpose, index| Random::new(seed, purpose, index).unit();
        let draws = [first(1, "a", 1), first(2, "a", 1), first(1, "b", 1), first(1, "a", 2)];
        for (index, draw) in draws.iter().enumerate() {
            assert!(!draws[..index].contains(draw), "{draws:?}");
        }
        assert_eq!(first(1, "a", 1).to_bits(), draws[0].to_bits());
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(3, "moments", 0);
        let mut draw = |f: &mut dyn FnMut(&mut Random) -> f64| -> Vec<f64> { (0..N).map(|_| f(&mut random)).collect() };
        assert_mean("unit", &draw(&mut Random::unit), 0.5, 12_f64.sqrt().recip());
        let normal = draw(&mut Random::normal);
        assert_mean("normal", &normal, 0.0, 1.0);
        assert_mean("normal squared", &normal.iter().map(|z| z * z).collect::<Vec<_>>(), 1.0, 2_f64.sqrt());
        for shape in [0.5, 1.0, 10.0] {
            let gamma = draw(&mut |random| random.log_gamma(shape).exp());
            assert_mean(&format!("gamma of {shape}"), &gamma, shape, shape.sqrt());
            let centred: Vec<f64> = gamma.iter().map(|x| (x - shape).powi(2)).collect();
            assert_mean("variance", &centred, shape, (2.0 * shape * shape + 6.0 * shape).sqrt());
        }
        // For a shape near 0 the logarithm has mean digamma(a) = -1/a - 0.5772 + 1.645 a, and deviation about 1/a.
        let small = draw(&mut |random| random.log_gamma(0.01));
        assert_mean("log gamma of 0.01", &small, -100.560_8, 100.01);
        assert_mean("below", &draw(&mut |random| random.below(7) as f64), 3.0, 2.0);
    }
}
