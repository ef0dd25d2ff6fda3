const N_WORDS: usize = 624;
const SHIFT: usize = 397;

/// The CPU generator of PyTorch: mt19937 with 32-bit outputs.
///
/// The streams are those of `torch.manual_seed(seed)` on the CPU, so a seed gives the published positions and noise.
#[derive(Clone, Debug)]
pub struct TorchGenerator {
    words: [u32; N_WORDS],
    n_used: usize,
}

impl TorchGenerator {
    /// The generator after `torch.manual_seed(seed)`; the upper half of the seed has no effect, as in PyTorch.
    pub fn new(seed: u64) -> Self {
        let mut words = [0_u32; N_WORDS];
        words[0] = seed as u32;
        for i in 1..N_WORDS {
            let previous = words[i - 1];
            words[i] = (previous ^ (previous >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { words, n_used: N_WORDS }
    }

    /// The next 32-bit output.
    pub fn next_u32(&mut self) -> u32 {
        if self.n_used == N_WORDS {
            self.refill();
        }
        let mut word = self.words[self.n_used];
        self.n_used += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// The next value of `torch.rand`: 24 bits of one output, in [0, 1).
    pub fn next_f32(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    fn refill(&mut self) {
        for i in 0..N_WORDS {
            let joined = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % N_WORDS] & 0x7fff_ffff);
            let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.words[i] = self.words[(i + SHIFT) % N_WORDS] ^ (joined >> 1) ^ twist;
        }
        self.n_used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::TorchGenerator;

    /// The C++ standard fixes the 10000th output of mt19937 with its default seed.
    #[test]
    fn follows_the_standard() {
        let mut generator = TorchGenerator::new(5489);
        let last = (0..10_000).map(|_| generator.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn ignores_the_upper_half_of_the_seed() {
        assert_eq!(TorchGenerator::new(7).next_u32(), TorchGenerator::new(7 + (3 << 32)).next_u32());
    }
}
