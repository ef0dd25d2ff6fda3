use super::{ExponentialNoise, TorchGenerator, argsort};

/// What one ROAR step draws: the positions to decode and the noise of their sampling (specification section 4.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoarStep {
    /// The positions to decode, in the order of the decoder's queries.
    pub positions: Vec<usize>,
    /// The noise of the step's sampling call, indexed by `query * n_vocabulary + token`.
    pub noise: ExponentialNoise,
}

impl RoarStep {
    /// The draws of a step. `step_seed` is the seed plus the global index of the step, `decoded[p]` says that position p
    /// already has its token. Gives as many positions as are missing where fewer than `n_tokens` are.
    pub fn new(step_seed: u64, decoded: &[bool], n_tokens: usize) -> Self {
        let mut generator = TorchGenerator::new(step_seed);
        let positions = step_positions(&mut generator, decoded, n_tokens);
        Self { positions, noise: ExponentialNoise::new(&mut generator) }
    }
}

/// The first `n_tokens` missing positions in random order: the argsort of the fp32 sums of the mask and 1e-6 times a
/// uniform draw per position (decoded positions draw as well). Consumes one output of the generator per position.
pub fn step_positions(generator: &mut TorchGenerator, decoded: &[bool], n_tokens: usize) -> Vec<usize> {
    let keys: Vec<f32> = decoded.iter().map(|&done| f32::from(u8::from(done)) + 1e-6 * generator.next_f32()).collect();
    argsort(&keys).into_iter().filter(|&position| !decoded[position]).take(n_tokens).collect()
}

#[cfg(test)]
mod tests {
    use super::RoarStep;

    #[test]
    fn gives_only_missing_positions() {
        let decoded: Vec<bool> = (0..320).map(|position| position % 3 == 0).collect();
        let step = RoarStep::new(4, &decoded, 500);
        assert_eq!(step.positions.len(), 213);
        assert!(step.positions.iter().all(|&position| !decoded[position]));
    }

    #[test]
    fn nothing_missing_gives_nothing() {
        assert!(RoarStep::new(0, &[true; 30], 10).positions.is_empty());
        assert!(RoarStep::new(0, &[], 10).positions.is_empty());
    }
}
