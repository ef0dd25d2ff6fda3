use egom2p_model::{Modality, ModelConfig};

use super::{Chaining, GenerationError, GenerationSettings, TargetSettings};
use crate::decoding::{
    DecodingError, DecodingStep, ExponentialNoise, RoarStep, Sampler, SamplerSettings, TargetPlan, chain_steps,
};

/// Everything about a generation that follows from its settings alone: who sees what at which step, which positions are
/// decoded, and the noise of their draws. Tokens decide none of it.
#[derive(Clone, Debug)]
pub(crate) struct GenerationPlan {
    /// Every step, target after target.
    pub(crate) steps: Vec<PlannedStep>,
}

/// One step of one target.
#[derive(Clone, Debug)]
pub(crate) struct PlannedStep {
    /// The target's place among the settings'.
    pub(crate) target: usize,
    /// What is decoded.
    pub(crate) modality: Modality,
    /// Counted over the target, from 0.
    pub(crate) step: usize,
    /// The seed of positions and noise.
    pub(crate) seed: u64,
    /// The modalities that the target is conditioned on, all of their tokens being known.
    pub(crate) condition: Vec<Modality>,
    /// The target's positions that have their token, ascending.
    pub(crate) decoded: Vec<usize>,
    /// The target's positions that get their token, in the order of the decoder's queries.
    pub(crate) queries: Vec<usize>,
    /// The noise of the draws.
    pub(crate) noise: ExponentialNoise,
    /// How tokens are drawn.
    pub(crate) sampler: Sampler,
    /// Whether there is an unconditional pass.
    pub(crate) guided: bool,
    /// Where the encoder states of the conditional pass come from.
    pub(crate) encoding: Encoding,
}

/// Where the encoder states of a conditional pass come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// Nothing is visible.
    Nothing,
    /// The condition is all that is visible: it is encoded and kept.
    Condition,
    /// The condition is all that is visible, and its encoding was kept by an earlier step.
    Kept,
    /// Condition and decoded tokens are encoded together.
    Whole,
    /// The kept encoding of the condition, and the encoding of the decoded tokens alone: approximate.
    Joined,
}

impl GenerationPlan {
    /// The plan for a clip of which the tokens of the modalities `given` are known.
    pub(crate) fn new(
        config: &ModelConfig,
        given: &[Modality],
        settings: &GenerationSettings,
    ) -> Result<Self, GenerationError> {
        check_names(given, settings)?;
        check_guidance(settings)?;
        let drawn = decoding_steps(config, settings)?;
        let (mut condition, mut kept) = (given.to_vec(), None);
        let mut steps = Vec::with_capacity(drawn.len());
        for (index, target) in settings.targets.iter().enumerate() {
            let mut has_token = vec![false; config.n_tokens(target.modality)];
            for (step, drawn) in drawn.iter().filter(|step| step.target == index).enumerate() {
                let RoarStep { positions, noise } = RoarStep::new(drawn.seed, &has_token, drawn.n_tokens);
                let decoded: Vec<usize> = (0..has_token.len()).filter(|&position| has_token[position]).collect();
                for &position in &positions {
                    has_token[position] = true;
                }
                let encoding = match (condition.is_empty(), decoded.is_empty()) {
                    (true, true) => Encoding::Nothing,
                    (false, true) if kept.as_ref() == Some(&condition) => Encoding::Kept,
                    (false, true) => Encoding::Condition,
                    (false, false) if settings.reuse_encoder => Encoding::Joined,
                    (_, false) => Encoding::Whole,
                };
                if encoding == Encoding::Condition && !positions.is_empty() {
                    kept = Some(condition.clone());
                }
                let sampler = SamplerSettings { temperature: drawn.temperature, ..target.sampler };
                steps.push(PlannedStep {
                    target: index,
                    modality: target.modality,
                    step,
                    seed: drawn.seed,
                    condition: condition.clone(),
                    decoded,
                    queries: positions,
                    noise,
                    sampler: Sampler::new(&sampler, config.vocabulary(target.modality), settings.n_threads)?,
                    guided: (target.guidance - 1.0).abs() > f32::EPSILON && !condition.is_empty(),
                    encoding,
                });
            }
            if settings.chaining == Chaining::Growing {
                condition.push(target.modality);
            }
        }
        Ok(Self { steps })
    }
}

impl PlannedStep {
    /// Whether the decoded tokens are encoded alone.
    pub(crate) fn encodes_decoded(&self) -> bool {
        !self.decoded.is_empty() && (self.guided || self.encoding == Encoding::Joined)
    }

    /// Tokens that the conditional pass sees.
    pub(crate) fn n_visible(&self, config: &ModelConfig) -> usize {
        self.n_condition(config) + self.decoded.len()
    }

    /// Tokens of the condition.
    pub(crate) fn n_condition(&self, config: &ModelConfig) -> usize {
        self.condition.iter().map(|&modality| config.n_tokens(modality)).sum()
    }

    /// The places of the condition, in the order in which the encoder takes them.
    pub(crate) fn condition_places(&self, config: &ModelConfig) -> impl Iterator<Item = (Modality, usize)> {
        let places = |&modality: &Modality| (0..config.n_tokens(modality)).map(move |position| (modality, position));
        self.condition.iter().flat_map(places)
    }

    /// The places of the target's decoded tokens, in the order in which the encoder takes them.
    pub(crate) fn decoded_places(&self) -> impl Iterator<Item = (Modality, usize)> {
        self.decoded.iter().map(|&position| (self.modality, position))
    }
}

/// The steps of every target. Independent targets count theirs from 0.
pub(super) fn decoding_steps(
    config: &ModelConfig,
    settings: &GenerationSettings,
) -> Result<Vec<DecodingStep>, DecodingError> {
    let plan = |target: &TargetSettings| TargetPlan {
        n_tokens: config.n_tokens(target.modality),
        n_steps: target.n_steps,
        schedule: target.schedule,
        temperature: target.sampler.temperature,
        temperature_schedule: target.temperature_schedule,
    };
    let plans: Vec<TargetPlan> = settings.targets.iter().map(plan).collect();
    match settings.chaining {
        Chaining::Growing => chain_steps(&plans, settings.seed),
        Chaining::Independent => {
            let steps = plans.iter().enumerate().map(|(target, plan)| {
                let steps = chain_steps(std::slice::from_ref(plan), settings.seed)?;
                Ok(steps.into_iter().map(move |step| DecodingStep { target, ..step }))
            });
            Ok(steps.collect::<Result<Vec<_>, DecodingError>>()?.into_iter().flatten().collect())
        }
    }
}

fn check_names(given: &[Modality], settings: &GenerationSettings) -> Result<(), GenerationError> {
    let mut seen = [false; Modality::ALL.len()];
    for modality in given.iter().copied().chain(settings.targets.iter().map(|target| target.modality)) {
        if std::mem::replace(&mut seen[modality.index()], true) {
            return Err(GenerationError::Twice { modality: modality.name() });
        }
    }
    Ok(())
}

fn check_guidance(settings: &GenerationSettings) -> Result<(), GenerationError> {
    match settings.targets.iter().find(|target| !target.guidance.is_finite()) {
        Some(target) => Err(GenerationError::Guidance { weight: target.guidance }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use egom2p_model::{Modality, Preset};

    use super::*;

    fn encodings(chaining: Chaining, reuse_encoder: bool, given: &[Modality]) -> Vec<Encoding> {
        let one = NonZeroUsize::MIN;
        let targets = [Modality::Camera, Modality::Gaze]
            .map(|modality| TargetSettings { n_steps: 2, ..TargetSettings::published(modality) });
        let settings = GenerationSettings {
            targets: targets.to_vec(),
            seed: 0,
            chaining,
            reuse_encoder,
            head_rows: one,
            n_threads: one,
        };
        let plan = GenerationPlan::new(&Preset::Tiny.config(), given, &settings).expect("sound settings");
        plan.steps.iter().map(|step| step.encoding).collect()
    }

    #[test]
    fn a_condition_is_encoded_once() {
        use Encoding::{Condition, Joined, Kept, Nothing, Whole};
        let rgb = [Modality::Rgb];
        assert_eq!(encodings(Chaining::Growing, false, &rgb), [Condition, Whole, Condition, Whole]);
        assert_eq!(encodings(Chaining::Independent, false, &rgb), [Condition, Whole, Kept, Whole]);
        assert_eq!(encodings(Chaining::Independent, true, &rgb), [Condition, Joined, Kept, Joined]);
        assert_eq!(encodings(Chaining::Growing, true, &[]), [Nothing, Whole, Condition, Joined]);
    }
}
