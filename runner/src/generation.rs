//! The decoding loop: from the tokens of some modalities to the tokens of others (specification section 4).

mod report;
mod settings;
mod visible;

use std::time::Instant;

use egom2p_engine_core::{EngineError, Tensor};
use egom2p_model::{Modality, ModelConfig, Stage};

use self::visible::Visible;
pub use self::{
    report::{StepReport, StepSecs},
    settings::{Chaining, GenerationSettings, GuidanceOn, TargetSettings},
};
use crate::{
    decoding::{
        DecodingError, DecodingStep, ExponentialNoise, Logits, RoarStep, Sampler, SamplerSettings, TargetPlan,
        chain_steps, guide,
    },
    stages::{Stages, StagesError, expect_shape},
};

/// The tokens of one modality, in position order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModalityTokens {
    /// What they describe.
    pub modality: Modality,
    /// One id per position.
    pub tokens: Vec<i64>,
}

/// What a generation gave.
#[derive(Clone, PartialEq, Debug)]
pub struct Generated {
    /// The targets, in the order in which they were decoded.
    pub targets: Vec<ModalityTokens>,
    /// Every step, in order.
    pub steps: Vec<StepReport>,
}

/// A generation that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// Another number of tokens than the model has positions.
    #[error("{modality} has {actual} tokens, expected {expected}\npass tokens made by this preset's tokenizer")]
    Count {
        /// The modality.
        modality: &'static str,
        /// Positions of the model.
        expected: usize,
        /// Tokens given.
        actual: usize,
    },
    /// A token that is not in the vocabulary.
    #[error(
        "{modality} token {token} at position {position} is outside the vocabulary of {vocabulary}\npass tokens made by this preset's tokenizer"
    )]
    Vocabulary {
        /// The modality.
        modality: &'static str,
        /// The token.
        token: i64,
        /// Where it stands.
        position: usize,
        /// The number of tokens there are.
        vocabulary: usize,
    },
    /// A modality that is both given and asked for, or asked for twice.
    #[error("{modality} is given or asked for twice\nname every modality once among the inputs and targets")]
    Twice {
        /// The modality.
        modality: &'static str,
    },
    /// A guidance weight that is not a number.
    #[error("guidance is {weight}, expected a finite number\npass a weight such as 2, or 1 to turn guidance off")]
    Guidance {
        /// The weight.
        weight: f32,
    },
    /// A stage failed.
    #[error(transparent)]
    Stages(#[from] StagesError),
    /// A setting or the logits do not allow a draw.
    #[error(transparent)]
    Decoding(#[from] DecodingError),
    /// A tensor is not what it should be.
    #[error(transparent)]
    Tensor(#[from] EngineError),
}

/// Decodes every target of `settings` from the tokens in `given`; `observe` sees every step when it is done.
///
/// Conditional and unconditional pass share positions and noise, which depend on the seed alone: not on the engines,
/// the number of threads, or how many rows of logits are held at a time.
pub fn generate(
    stages: &mut dyn Stages,
    config: &ModelConfig,
    given: &[ModalityTokens],
    settings: &GenerationSettings,
    observe: &mut dyn FnMut(&StepReport),
) -> Result<Generated, GenerationError> {
    check_names(given, settings)?;
    check_guidance(settings)?;
    let steps = plan(config, settings)?;
    let mut condition = Vec::new();
    for ModalityTokens { modality, tokens } in given {
        check_tokens(config, *modality, tokens)?;
        condition.push((*modality, tokens.iter().copied().map(Some).collect()));
    }
    let mut state = State { stages, config, settings, condition, encoded_condition: None };
    let mut generated = Generated { targets: Vec::new(), steps: Vec::new() };
    for (index, target) in settings.targets.iter().enumerate() {
        let mut tokens = vec![None; config.n_tokens(target.modality)];
        for (step, drawn) in steps.iter().filter(|step| step.target == index).enumerate() {
            let report = state.step(target, &mut tokens, step, drawn)?;
            observe(&report);
            generated.steps.push(report);
        }
        generated
            .targets
            .push(ModalityTokens { modality: target.modality, tokens: tokens.iter().copied().flatten().collect() });
        if settings.chaining == Chaining::Growing {
            state.condition.push((target.modality, tokens));
        }
    }
    Ok(generated)
}

/// How many steps a generation takes, for progress.
pub fn n_steps(config: &ModelConfig, settings: &GenerationSettings) -> Result<usize, GenerationError> {
    Ok(plan(config, settings)?.len())
}

struct State<'a> {
    stages: &'a mut dyn Stages,
    config: &'a ModelConfig,
    settings: &'a GenerationSettings,
    condition: Vec<(Modality, Vec<Option<i64>>)>,
    /// The latest encoding of a condition alone: the first step of the next target may see the same tokens.
    encoded_condition: Option<(Visible, Tensor)>,
}

impl State<'_> {
    fn step(
        &mut self,
        target: &TargetSettings,
        tokens: &mut [Option<i64>],
        step: usize,
        drawn: &DecodingStep,
    ) -> Result<StepReport, GenerationError> {
        let mut secs = StepSecs::default();
        let decoded: Vec<bool> = tokens.iter().map(Option::is_some).collect();
        let RoarStep { positions, noise } = RoarStep::new(drawn.seed, &decoded, drawn.n_tokens);
        let queries: Vec<i64> = positions.iter().map(|&position| position as i64).collect();

        let condition = self.condition.iter().map(|(modality, tokens)| (*modality, tokens.as_slice()));
        let visible = Visible::of(condition.chain([(target.modality, &*tokens)]));
        let guided = (target.guidance - 1.0).abs() > f32::EPSILON && !self.condition.is_empty();
        let unconditional = guided.then(|| Visible::of([(target.modality, &*tokens)]));

        let (hidden, shared_encoding) = self.pass(target.modality, &visible, &queries, step == 0, &mut secs)?;
        let hidden_unconditional = match &unconditional {
            Some(visible) => Some(self.pass(target.modality, visible, &queries, false, &mut secs)?.0),
            None => None,
        };
        let sampler = SamplerSettings { temperature: drawn.temperature, ..target.sampler };
        let sampler = Sampler::new(&sampler, self.config.vocabulary(target.modality), self.settings.n_threads)?;
        let tokens_drawn = self.draw(target, &sampler, &noise, hidden, hidden_unconditional, &mut secs)?;
        for (&position, &token) in positions.iter().zip(&tokens_drawn) {
            tokens[position] = Some(token);
        }
        Ok(StepReport {
            modality: target.modality,
            step,
            seed: drawn.seed,
            visible: visible.len(),
            visible_unconditional: unconditional.map(|visible| visible.len()),
            positions: queries,
            tokens: tokens_drawn,
            shared_encoding,
            secs,
        })
    }

    /// Hidden states `[queries, dim]`, given what is visible, and whether the encoding was at hand.
    fn pass(
        &mut self,
        modality: Modality,
        visible: &Visible,
        queries: &[i64],
        keep: bool,
        secs: &mut StepSecs,
    ) -> Result<(Vec<f32>, bool), GenerationError> {
        let started = Instant::now();
        let known = self.encoded_condition.take_if(|(known, _)| known == visible);
        let shared = known.is_some();
        let context = match known {
            Some((_, context)) => context,
            None if visible.is_empty() => Tensor::f32([1, 0, self.config.dim], Vec::new())?,
            None => {
                let inputs = visible.inputs()?;
                self.stages.run_one(Stage::Encoder, &inputs.each_ref().map(|(name, tensor)| (*name, tensor)))?
            }
        };
        secs.encoder += started.elapsed().as_secs_f64();

        let started = Instant::now();
        let n_queries = queries.len();
        let visible_mask = Tensor::bool([1, visible.len()], vec![true; visible.len()])?;
        let modality_ids = Tensor::i64([1, n_queries], vec![modality.index() as i64; n_queries])?;
        let position_ids = Tensor::i64([1, n_queries], queries.to_vec())?;
        let query_mask = Tensor::bool([1, n_queries], vec![true; n_queries])?;
        let inputs = [
            ("context", &context),
            ("visible_mask", &visible_mask),
            ("modality", &modality_ids),
            ("position", &position_ids),
            ("query_mask", &query_mask),
        ];
        let hidden = self.stages.run_one(Stage::Decoder, &inputs)?;
        let hidden = floats(Stage::Decoder, hidden, &[1, n_queries, self.config.dim])?;
        secs.decoder += started.elapsed().as_secs_f64();
        if keep || shared {
            self.encoded_condition = Some((visible.clone(), context));
        }
        Ok((hidden, shared))
    }

    /// One token per query. The head runs over a bounded number of rows at a time.
    fn draw(
        &mut self,
        target: &TargetSettings,
        sampler: &Sampler,
        noise: &ExponentialNoise,
        mut hidden: Vec<f32>,
        unconditional: Option<Vec<f32>>,
        secs: &mut StepSecs,
    ) -> Result<Vec<i64>, GenerationError> {
        let (dim, weight) = (self.config.dim, target.guidance);
        let unconditional = match (unconditional, target.guidance_on) {
            (Some(unconditional), GuidanceOn::Logits) => {
                guide(&mut hidden, &unconditional, weight)?;
                None
            }
            (unconditional, _) => unconditional,
        };
        let mut tokens = Vec::with_capacity(hidden.len() / dim);
        for (chunk, rows) in hidden.chunks(dim * self.settings.head_rows.get()).enumerate() {
            let first_query = chunk * self.settings.head_rows.get();
            let conditional = self.head(target.modality, rows, secs)?;
            let unconditional = match &unconditional {
                Some(hidden) => Some(self.head(target.modality, &hidden[first_query * dim..][..rows.len()], secs)?),
                None => None,
            };
            let logits = match &unconditional {
                Some(unconditional) => Logits::GuidedProbabilities { conditional: &conditional, unconditional, weight },
                None => Logits::Plain(&conditional),
            };
            let started = Instant::now();
            tokens.extend(sampler.sample(logits, noise, first_query)?.into_iter().map(|draw| draw.token));
            secs.sampling += started.elapsed().as_secs_f64();
        }
        Ok(tokens)
    }

    /// Logits `[rows, vocabulary]` of hidden states `[rows, dim]`.
    fn head(&mut self, modality: Modality, rows: &[f32], secs: &mut StepSecs) -> Result<Vec<f32>, GenerationError> {
        let started = Instant::now();
        let head = Stage::head(modality);
        let n_rows = rows.len() / self.config.dim;
        let hidden = Tensor::f32([1, n_rows, self.config.dim], rows.to_vec())?;
        let logits = self.stages.run_one(head, &[("hidden", &hidden)])?;
        let logits = floats(head, logits, &[1, n_rows, self.config.vocabulary(modality)])?;
        secs.head += started.elapsed().as_secs_f64();
        Ok(logits)
    }
}

/// The steps of every target. Independent targets count theirs from 0.
fn plan(config: &ModelConfig, settings: &GenerationSettings) -> Result<Vec<DecodingStep>, DecodingError> {
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

fn check_names(given: &[ModalityTokens], settings: &GenerationSettings) -> Result<(), GenerationError> {
    let mut seen = [false; Modality::ALL.len()];
    let names = given.iter().map(|given| given.modality).chain(settings.targets.iter().map(|target| target.modality));
    for modality in names {
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

fn check_tokens(config: &ModelConfig, modality: Modality, tokens: &[i64]) -> Result<(), GenerationError> {
    let (expected, vocabulary) = (config.n_tokens(modality), config.vocabulary(modality));
    if tokens.len() != expected {
        return Err(GenerationError::Count { modality: modality.name(), expected, actual: tokens.len() });
    }
    match tokens.iter().position(|&token| !usize::try_from(token).is_ok_and(|token| token < vocabulary)) {
        Some(position) => {
            let token = tokens[position];
            Err(GenerationError::Vocabulary { modality: modality.name(), token, position, vocabulary })
        }
        None => Ok(()),
    }
}

/// The values of a stage's output, which must have exactly this shape.
fn floats(stage: Stage, tensor: Tensor, shape: &[usize]) -> Result<Vec<f32>, GenerationError> {
    expect_shape(stage, &tensor, shape)?;
    Ok(tensor.into_f32()?)
}
