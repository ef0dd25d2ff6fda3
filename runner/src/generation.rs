//! The decoding loop: from the tokens of some modalities to the tokens of others (specification section 4).

mod plan;
mod report;
mod settings;
mod visible;

use std::time::Instant;

use egom2p_device::DeviceError;
use egom2p_engine_core::{EngineError, Tensor};
use egom2p_model::{Modality, ModelConfig, Stage};

pub(crate) use self::plan::{Encoding, GenerationPlan, PlannedStep};
use self::visible::Visible;
pub use self::{
    report::{StepReport, StepSecs},
    settings::{Chaining, GenerationSettings, GuidanceOn, TargetSettings},
};
use crate::{
    decoding::{DecodingError, Logits, guide},
    device_pipeline::DeviceRoomError,
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
    /// A clip with other inputs than a pipeline was made for.
    #[error("a clip brings {actual}, expected {expected}\ngive every clip the inputs that were planned")]
    Inputs {
        /// What was planned.
        expected: String,
        /// What came.
        actual: String,
    },
    /// No clips, or more than a pipeline was made for.
    #[error(
        "{actual} clips are to be decoded together, expected 1 to {expected}\nuse a larger --batch, or fewer clips at a time"
    )]
    Batch {
        /// The most.
        expected: usize,
        /// What came.
        actual: usize,
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
    /// A device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A device is too small.
    #[error(transparent)]
    Room(#[from] Box<DeviceRoomError>),
}

impl GenerationError {
    /// The failure of a device that is behind it, if one is.
    pub fn device(&self) -> Option<&DeviceError> {
        match self {
            Self::Device(error)
            | Self::Tensor(EngineError::Device(error))
            | Self::Stages(StagesError::Engine(EngineError::Device(error))) => Some(error),
            Self::Room(error) => Some(error.cause()),
            _ => None,
        }
    }
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
    let names: Vec<Modality> = given.iter().map(|given| given.modality).collect();
    let plan = GenerationPlan::new(config, &names, settings)?;
    let mut tokens = Modality::ALL.map(|modality| vec![0; config.n_tokens(modality)]);
    for given in given {
        check_tokens(config, given)?;
        tokens[given.modality.index()].clone_from(&given.tokens);
    }
    let mut state = State { stages, config, settings, tokens, kept: None };
    let mut steps = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let report = state.step(step)?;
        observe(&report);
        steps.push(report);
    }
    let mut tokens = state.tokens;
    let targets = settings.targets.iter().map(|target| ModalityTokens {
        modality: target.modality,
        tokens: std::mem::take(&mut tokens[target.modality.index()]),
    });
    Ok(Generated { targets: targets.collect(), steps })
}

/// How many steps a generation takes, for progress.
pub fn n_steps(config: &ModelConfig, settings: &GenerationSettings) -> Result<usize, GenerationError> {
    Ok(plan::decoding_steps(config, settings)?.len())
}

struct State<'a> {
    stages: &'a mut dyn Stages,
    config: &'a ModelConfig,
    settings: &'a GenerationSettings,
    /// Of every modality, by its index; what stands where nothing was decoded is never read.
    tokens: [Vec<i64>; Modality::ALL.len()],
    /// The latest encoding of a condition alone.
    kept: Option<Tensor>,
}

impl State<'_> {
    fn step(&mut self, step: &PlannedStep) -> Result<StepReport, GenerationError> {
        let mut secs = StepSecs::default();
        let tokens = if step.queries.is_empty() { Vec::new() } else { self.decode(step, &mut secs)? };
        let all = &mut self.tokens[step.modality.index()];
        for (&position, &token) in step.queries.iter().zip(&tokens) {
            all[position] = token;
        }
        Ok(StepReport::new(step, self.config, tokens, secs))
    }

    /// One token per query.
    fn decode(&mut self, step: &PlannedStep, secs: &mut StepSecs) -> Result<Vec<i64>, GenerationError> {
        let started = Instant::now();
        let decoded = if step.encodes_decoded() { Some(self.encode(step.decoded_places())?) } else { None };
        let context = match step.encoding {
            Encoding::Nothing => self.nothing()?,
            Encoding::Kept => self.kept.take().ok_or_else(|| StagesError::Outputs { stage: Stage::Encoder.name() })?,
            Encoding::Condition => self.encode(step.condition_places(self.config))?,
            Encoding::Whole => self.encode(step.condition_places(self.config).chain(step.decoded_places()))?,
            Encoding::Joined => self.join(decoded.as_ref())?,
        };
        secs.encoder += started.elapsed().as_secs_f64();
        let hidden = self.pass(step, &context, secs)?;
        if matches!(step.encoding, Encoding::Condition | Encoding::Kept) {
            self.kept = Some(context);
        }
        let hidden_unconditional = match (step.guided, decoded) {
            (true, Some(context)) => Some(self.pass(step, &context, secs)?),
            (true, None) => Some(self.pass(step, &self.nothing()?, secs)?),
            (false, _) => None,
        };
        self.draw(step, hidden, hidden_unconditional, secs)
    }

    /// Encoder states `[1, visible, dim]` of the tokens at these places.
    fn encode(&mut self, places: impl Iterator<Item = (Modality, usize)>) -> Result<Tensor, GenerationError> {
        let inputs = Visible::of(places, &self.tokens).inputs()?;
        Ok(self.stages.run_one(Stage::Encoder, &inputs.each_ref().map(|(name, tensor)| (*name, tensor)))?)
    }

    /// The encoder states of no tokens.
    fn nothing(&self) -> Result<Tensor, EngineError> {
        Tensor::f32([1, 0, self.config.dim], Vec::new())
    }

    /// The kept encoder states of the condition, followed by those of decoded tokens.
    fn join(&self, decoded: Option<&Tensor>) -> Result<Tensor, GenerationError> {
        let parts = self.kept.as_ref().zip(decoded).and_then(|(kept, own)| kept.as_f32().zip(own.as_f32()));
        let (kept, own) = parts.ok_or_else(|| StagesError::Outputs { stage: Stage::Encoder.name() })?;
        let values = [kept, own].concat();
        Ok(Tensor::f32([1, values.len() / self.config.dim, self.config.dim], values)?)
    }

    /// Hidden states `[queries, dim]`, given the encoder states of what is visible.
    fn pass(&mut self, step: &PlannedStep, context: &Tensor, secs: &mut StepSecs) -> Result<Vec<f32>, GenerationError> {
        let started = Instant::now();
        let (n_visible, n_queries) = (context.shape().get(1).copied().unwrap_or_default(), step.queries.len());
        let queries: Vec<i64> = step.queries.iter().map(|&position| position as i64).collect();
        let visible_mask = Tensor::bool([1, n_visible], vec![true; n_visible])?;
        let modality_ids = Tensor::i64([1, n_queries], vec![step.modality.index() as i64; n_queries])?;
        let position_ids = Tensor::i64([1, n_queries], queries)?;
        let query_mask = Tensor::bool([1, n_queries], vec![true; n_queries])?;
        let inputs = [
            ("context", context),
            ("visible_mask", &visible_mask),
            ("modality", &modality_ids),
            ("position", &position_ids),
            ("query_mask", &query_mask),
        ];
        let hidden = self.stages.run_one(Stage::Decoder, &inputs)?;
        let hidden = floats(Stage::Decoder, hidden, &[1, n_queries, self.config.dim])?;
        secs.decoder += started.elapsed().as_secs_f64();
        Ok(hidden)
    }

    /// One token per query. The head runs over a bounded number of rows at a time.
    fn draw(
        &mut self,
        step: &PlannedStep,
        mut hidden: Vec<f32>,
        unconditional: Option<Vec<f32>>,
        secs: &mut StepSecs,
    ) -> Result<Vec<i64>, GenerationError> {
        let target = &self.settings.targets[step.target];
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
            tokens.extend(step.sampler.sample(logits, &step.noise, first_query)?.into_iter().map(|draw| draw.token));
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

/// Fails unless there is one token of the vocabulary per position.
pub(crate) fn check_tokens(config: &ModelConfig, given: &ModalityTokens) -> Result<(), GenerationError> {
    let ModalityTokens { modality, tokens } = given;
    let (expected, vocabulary) = (config.n_tokens(*modality), config.vocabulary(*modality));
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
