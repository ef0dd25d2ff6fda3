use std::f64::consts::TAU;

/// A sequence of random numbers that follows from a key: splitmix64 over a hash of the key's words.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The sequence of this key. Keys that differ in any word or in the name give unrelated sequences.
    pub(crate) fn new(name: &str, words: &[u64]) -> Self {
        let named = name
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        Self { state: words.iter().fold(scramble(named), |state, word| scramble(state ^ scramble(*word))) }
    }

    /// Another sequence that follows from where this one stands, so that its length does not matter to the rest.
    pub(crate) fn branch(&mut self) -> Self {
        Self { state: scramble(self.next()) }
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`; `n` is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller), cut at three deviations.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (TAU * self.unit()).cos()).clamp(-3.0, 3.0)
    }

    /// Exponential with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// An index with a probability in proportion to its weight; `None` where no weight is positive.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> Option<usize> {
        let total: f64 = weights.clone().sum();
        let mut left = self.unit() * total;
        let mut last = None;
        for (index, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
            last = Some(index);
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.state)
    }
}

/// A value in `[0, 1)` for a point of an integer lattice, the same on every call.
#[inline]
pub(crate) fn lattice(x: i64, y: i64, seed: u32) -> f64 {
    let key = (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    let mut hash = key ^ u64::from(seed).wrapping_mul(0x1656_67B1_9E37_79F9);
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (hash >> 40) as f64 / (1_u64 << 24) as f64
}

/// One step of splitmix64.
fn scramble(state: u64) -> u64 {
    mixed(state.wrapping_add(0x9E37_79B9_7F4A_7C15))
}

fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Random, lattice, scramble};

    #[test]
    fn it_is_splitmix64() {
        // The first output for the state 0, from the published reference implementation.
        assert_eq!(scramble(0), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn every_word_of_the_key_matters() {
        let first = |name: &str, words: &[u64]| Random::new(name, words).next();
        let keys =
            [first("a", &[1, 2]), first("b", &[1, 2]), first("a", &[2, 1]), first("a", &[1, 3]), first("a", &[1])];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{keys:x?}");
        }
        assert_eq!(first("a", &[1, 2]), keys[0]);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new("moments", &[]);
        let n = 20_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let uniform: Vec<f64> = (0..n).map(|_| random.between(-1.0, 3.0)).collect();
        let normal: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let squares: Vec<f64> = normal.iter().map(|value| value * value).collect();
        let exponential: Vec<f64> = (0..n).map(|_| random.exponential(2.0)).collect();
        assert!((mean(&uniform) - 1.0).abs() < 0.04);
        assert!(mean(&normal).abs() < 0.03 && (mean(&squares) - 1.0).abs() < 0.05);
        assert!((mean(&exponential) - 2.0).abs() < 0.06);
        let drawn: Vec<f64> =
            (0..n).filter_map(|_| random.weighted([1.0, 0.0, 3.0].into_iter())).map(|i| i as f64).collect();
        assert!(drawn.len() == n && !drawn.contains(&1.0) && (mean(&drawn) - 1.5).abs() < 0.03);
        assert_eq!(random.weighted([0.0, 0.0].into_iter()), None);
    }

    #[test]
    fn the_lattice_is_spread() {
        let mean = (0..10_000).map(|i| lattice(i % 100 - 50, i / 100 - 50, 7)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
