use std::f64::consts::PI;

use super::{DecodingError, TemperatureSchedule};

/// How many tokens each step of a target decodes (specification section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum TokenSchedule {
    /// Steps as equal as whole numbers allow, the larger ones first; steps without tokens are dropped.
    #[default]
    Linear,
    /// The half cosine of MaskGIT: few tokens first and last, most in the middle; steps may be empty.
    Cosine,
}

/// A target of a decoding run with its settings.
#[derive(Clone, PartialEq, Debug)]
pub struct TargetPlan {
    /// Number of tokens of the target.
    pub n_tokens: usize,
    /// Number of decoding steps.
    pub n_steps: usize,
    /// How the tokens spread over the steps.
    pub schedule: TokenSchedule,
    /// Temperature that the temperature schedule starts from.
    pub temperature: f64,
    /// How the temperature changes over the steps.
    pub temperature_schedule: TemperatureSchedule,
}

/// One step of a decoding run over one or more targets.
#[derive(Clone, PartialEq, Debug)]
pub struct DecodingStep {
    /// Index of the target in the list given to [`chain_steps`]. The targets before it belong to the condition
    /// (the published `cfg_grow_conditioning`).
    pub target: usize,
    /// Number of tokens to decode.
    pub n_tokens: usize,
    /// Sampling temperature.
    pub temperature: f64,
    /// Seed of the step's random streams: the run's seed plus the index of the step over all targets.
    pub seed: u64,
}

impl TokenSchedule {
    /// The number of tokens of each step; the sum is `n_tokens`. Fails without steps or without tokens.
    pub fn tokens_per_step(self, n_steps: usize, n_tokens: usize) -> Result<Vec<usize>, DecodingError> {
        let setting =
            |setting, value: usize, expected| DecodingError::Setting { setting, value: value.to_string(), expected };
        if n_steps == 0 || n_steps > 1_000_000 {
            return Err(setting("steps", n_steps, "1 to 1000000"));
        }
        if n_tokens == 0 {
            return Err(setting("tokens of the target", n_tokens, "at least 1"));
        }
        Ok(match self {
            Self::Linear => linear(n_steps, n_tokens),
            Self::Cosine => cosine(n_steps, n_tokens),
        })
    }
}

/// The steps of a run: all steps of the first target, then of the second, and so on, with the seeds counted through.
pub fn chain_steps(targets: &[TargetPlan], seed: u64) -> Result<Vec<DecodingStep>, DecodingError> {
    let mut steps = Vec::new();
    for (target, plan) in targets.iter().enumerate() {
        let tokens = plan.schedule.tokens_per_step(plan.n_steps, plan.n_tokens)?;
        let temperatures = plan.temperature_schedule.per_step(plan.temperature, &tokens)?;
        for (n_tokens, temperature) in tokens.into_iter().zip(temperatures) {
            let seed = seed.wrapping_add(steps.len() as u64);
            steps.push(DecodingStep { target, n_tokens, temperature, seed });
        }
    }
    Ok(steps)
}

fn linear(n_steps: usize, n_tokens: usize) -> Vec<usize> {
    let width = n_tokens as f64 / n_steps as f64;
    let bound = |step: usize| if step == n_steps { n_tokens } else { (step as f64 * width).floor() as usize };
    let mut tokens: Vec<usize> = (0..n_steps).map(|step| bound(step + 1).saturating_sub(bound(step))).collect();
    tokens.sort_unstable_by(|a, b| b.cmp(a));
    tokens.retain(|&n| n > 0);
    tokens
}

/// Differences of the cosine are rounded half to even; the last step takes the remainder. Rounding never hands out more
/// than there is, where the published code would end with a negative step.
fn cosine(n_steps: usize, n_tokens: usize) -> Vec<usize> {
    let missing = |step: usize| 0.5 * (1.0 + (PI * step as f64 / n_steps as f64).cos());
    let mut left = n_tokens;
    let mut tokens = Vec::with_capacity(n_steps);
    for step in 0..n_steps - 1 {
        let share = n_tokens as f64 * (missing(step) - missing(step + 1));
        let n = (share.round_ties_even() as usize).min(left);
        left -= n;
        tokens.push(n);
    }
    tokens.push(left);
    tokens
}

#[cfg(test)]
mod tests {
    use super::{TargetPlan, TokenSchedule, chain_steps};
    use crate::decoding::TemperatureSchedule;
    use proptest::prelude::*;

    fn plan(n_tokens: usize, n_steps: usize) -> TargetPlan {
        TargetPlan {
            n_tokens,
            n_steps,
            schedule: TokenSchedule::Linear,
            temperature: 0.01,
            temperature_schedule: TemperatureSchedule::Constant,
        }
    }

    #[test]
    fn seeds_count_through_all_targets() {
        let steps = chain_steps(&[plan(320, 3), plan(30, 3)], 7).expect("both targets have steps");
        let seen: Vec<(usize, usize, u64)> = steps.iter().map(|step| (step.target, step.n_tokens, step.seed)).collect();
        assert_eq!(seen, [(0, 107, 7), (0, 107, 8), (0, 106, 9), (1, 10, 10), (1, 10, 11), (1, 10, 12)]);
    }

    #[test]
    fn no_steps_is_an_error() {
        let error = TokenSchedule::Linear.tokens_per_step(0, 30).expect_err("zero steps");
        assert_eq!(error.to_string(), "steps is 0, expected 1 to 1000000\npass a value in that range");
    }

    proptest! {
        #[test]
        fn every_token_is_decoded(n_steps in 1_usize..200, n_tokens in 1_usize..6000) {
            for schedule in [TokenSchedule::Linear, TokenSchedule::Cosine] {
                let tokens = schedule.tokens_per_step(n_steps, n_tokens).expect("steps and tokens");
                prop_assert_eq!(tokens.iter().sum::<usize>(), n_tokens);
            }
        }
    }
}
