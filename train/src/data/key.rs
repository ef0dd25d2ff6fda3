/// The seed of one purpose of one dataset: gives a random number for every index, in any order.
///
/// The numbers are those of splitmix64, started from a hash of the key and stepped by the index.
#[derive(Clone, Debug)]
pub(super) struct Key {
    state: u64,
}

impl Key {
    /// The key of a purpose. Keys that differ in any argument give unrelated numbers.
    pub(super) fn new(purpose: &str, name: &str, seed: u64, rank: u64) -> Self {
        let words = [hash(purpose), hash(name), seed, rank];
        Self { state: words.into_iter().fold(0, |state, word| scramble(state ^ scramble(word))) }
    }

    /// 64 random bits.
    pub(super) fn bits(&self, index: u64) -> u64 {
        scramble(self.state ^ scramble(index))
    }

    /// Uniform in `0..n`; 0 where `n` is 0.
    pub(super) fn below(&self, index: u64, n: usize) -> usize {
        ((u128::from(self.bits(index)) * n as u128) >> 64) as usize
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    pub(super) fn unit(&self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A key of its own for every index.
    pub(super) fn branch(&self, index: u64) -> Self {
        Self { state: self.bits(index) }
    }

    /// The numbers `0..n` in random order.
    pub(super) fn permutation(&self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last as u64, last + 1));
        }
        order
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// One step of splitmix64.
fn scramble(state: u64) -> u64 {
    let x = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Key, scramble};

    #[test]
    fn it_is_splitmix64() {
        // The first output for the state 0, from the published reference implementation.
        assert_eq!(scramble(0), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let keys = [("a", "b", 1, 2), ("b", "a", 1, 2), ("a", "b", 2, 1), ("a", "b", 1, 3), ("a", "c", 1, 2)];
        let first: Vec<u64> = keys.iter().map(|&(a, b, c, d)| Key::new(a, b, c, d).bits(0)).collect();
        for (index, bits) in first.iter().enumerate() {
            assert!(!first[..index].contains(bits));
        }
    }

    #[test]
    fn numbers_are_uniform() {
        let key = Key::new("test", "", 0, 0);
        let mut counts = [0_i64; 10];
        let mut sum = 0.0;
        for index in 0..100_000 {
            counts[key.below(index, 10)] += 1;
            sum += key.unit(index);
        }
        // Five deviations of a count (95) and of a mean (0.0009).
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 475), "{counts:?}");
        assert!((sum / 100_000.0 - 0.5).abs() < 0.0046, "{sum}");
        assert_eq!(key.below(0, 0), 0);
    }

    #[test]
    fn permutations_hold_every_number_once() {
        let mut order = Key::new("test", "", 0, 0).permutation(1000);
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(index, &value)| index == value as usize));
        assert!(Key::new("test", "", 0, 0).permutation(0).is_empty());
    }
}
