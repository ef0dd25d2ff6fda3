//! Rows of logits that no trained model gives on request, from engines that are made up.

use std::{num::NonZeroUsize, sync::Arc};

use egom2p_device::{Buffer, ComputeDevice, DeviceError, HostDevice, Stream};
use egom2p_engine_core::{
    Axis, DType, DeviceTensor, Dims, Engine, EngineError, Profile, RunSession, Session, SessionOptions, Tensor,
    TensorSpec,
};
use egom2p_kernels::{Outcome, host};
use egom2p_model::{Modality, ModelConfig, Preset, Stage, Variant};

use super::{
    DeviceLoop, DevicePipelineMemory,
    device_loop::LoopJob,
    opened::{OpenedEngine, OpenedEngines},
};
use crate::{
    decoding::{DecodingError, Logits, SamplerSettings, TopK},
    generation::{Chaining, GenerationError, GenerationPlan, GenerationSettings, StepReport, TargetSettings},
};

const DEVICE_BYTES: u64 = 1 << 30;
const VOCABULARY: usize = 256;

/// What a made-up engine gives for a call: an output of this many values, or a failure.
type Rule = Arc<dyn Fn(usize) -> Result<Vec<f32>, EngineError> + Send + Sync>;

#[derive(Clone)]
struct MadeUp {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    rule: Rule,
    weights_bytes: usize,
    scratch_bytes: u64,
    /// Where a session is, with its weights.
    device: Option<(Arc<dyn ComputeDevice>, Buffer)>,
}

impl MadeUp {
    fn new(inputs: &[(&str, DType, &[&str])], (name, axes): (&str, &[&str]), rule: Rule) -> Self {
        let spec = |name: &str, dtype, axes: &[&str]| {
            let axis = |axis: &&str| axis.parse().map_or_else(|_| Axis::Named((*axis).to_owned()), Axis::Fixed);
            TensorSpec { name: name.to_owned(), dtype, shape: axes.iter().map(axis).collect() }
        };
        let inputs = inputs.iter().map(|&(name, dtype, axes)| spec(name, dtype, axes)).collect();
        let outputs = vec![spec(name, DType::F32, axes)];
        Self { inputs, outputs, rule, weights_bytes: 0, scratch_bytes: 0, device: None }
    }

    fn opened(self) -> OpenedEngine {
        OpenedEngine { engine: Box::new(self), profiles: Vec::new(), load_secs: 0.0 }
    }
}

impl Engine for MadeUp {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn session(&self, _: &SessionOptions) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(self.clone()))
    }

    fn session_on(&self, device: &Arc<dyn ComputeDevice>, _: &SessionOptions) -> Result<Box<dyn Session>, EngineError> {
        let weights = device.allocate(self.weights_bytes)?;
        Ok(Box::new(Self { device: Some((Arc::clone(device), weights)), ..self.clone() }))
    }
}

impl RunSession for MadeUp {
    fn input_specs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn output_specs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn profiles(&self) -> &[Profile] {
        &[]
    }

    fn run_impl(&mut self, _: &[&Tensor], dims: &Dims) -> Result<Vec<Tensor>, EngineError> {
        let shape = dims.shape(&self.outputs[0]).expect("the inputs have its dimensions");
        let values = (self.rule)(shape.iter().product())?;
        Ok(vec![Tensor::f32(shape, values)?])
    }

    fn device_impl(&self) -> Option<&Arc<dyn ComputeDevice>> {
        self.device.as_ref().map(|(device, _)| device)
    }

    fn scratch_bytes_impl(&self) -> u64 {
        self.scratch_bytes
    }

    fn enqueue_impl(
        &mut self,
        stream: &dyn Stream,
        _: &[&DeviceTensor],
        outputs: &[&DeviceTensor],
        _: &Dims,
    ) -> Result<(), EngineError> {
        let n_values = outputs[0].shape().iter().product();
        outputs[0].upload(stream, &Tensor::f32(outputs[0].shape(), (self.rule)(n_values)?)?)
    }
}

fn zeros() -> Rule {
    Arc::new(|n_values| Ok(vec![0.0; n_values]))
}

/// The same row of logits for every query.
fn constant(row: Vec<f32>) -> Rule {
    Arc::new(move |n_values| Ok(row.iter().copied().cycle().take(n_values).collect()))
}

fn config() -> ModelConfig {
    Preset::Tiny.config()
}

/// The camera in three steps at temperature 1, from nothing, in chunks of 8 rows.
fn settings() -> GenerationSettings {
    let sampler = SamplerSettings { temperature: 1.0, top_p: 0.8, top_k: TopK::Off };
    GenerationSettings {
        targets: vec![TargetSettings { sampler, ..TargetSettings::published(Modality::Camera) }],
        seed: 3,
        chaining: Chaining::Growing,
        reuse_encoder: false,
        head_rows: NonZeroUsize::new(8).expect("some"),
        n_threads: NonZeroUsize::MIN,
    }
}

/// A loop for one clip with these logits.
fn made_up(logits: Rule) -> (DeviceLoop, Arc<LoopJob>) {
    let (made, job) = made_up_on(&HostDevice::new(DEVICE_BYTES), logits, (0, 0));
    let (mut made, _) = made.unwrap_or_else(|error| panic!("{error}"));
    made.write_table(&[vec![0; job.layout.n_positions()]]).expect("there is room");
    (made, job)
}

/// The same on a device, where every engine has as many bytes of weights, and the head as many of scratch.
fn made_up_on(
    device: &Arc<HostDevice>,
    logits: Rule,
    (weights_bytes, scratch_bytes): (usize, u64),
) -> (Result<(DeviceLoop, DevicePipelineMemory), GenerationError>, Arc<LoopJob>) {
    let dim = config().dim.to_string();
    let ids: &[&str] = &["batch", "visible"];
    let queries: &[&str] = &["batch", "queries"];
    let states = |axis| ["batch", axis, &*dim];
    let encoder = [("tokens", DType::I64, ids), ("modality", DType::I64, ids), ("position", DType::I64, ids)];
    let places = [("modality", DType::I64, queries), ("position", DType::I64, queries)];
    let (context, hidden) = (states("visible"), states("queries"));
    let seeing = [places[0], places[1], ("context", DType::F32, &context[..])];
    let head = [("hidden", DType::F32, &hidden[..])];
    let vocabulary = VOCABULARY.to_string();
    let rows = ["batch", "queries", &*vocabulary];
    let made = [
        ((Stage::Encoder, Variant::Unmasked), MadeUp::new(&encoder, ("context", &context), zeros())),
        ((Stage::Decoder, Variant::Unmasked), MadeUp::new(&seeing, ("hidden", &hidden), zeros())),
        ((Stage::Decoder, Variant::Contextless), MadeUp::new(&places, ("hidden", &hidden), zeros())),
        ((Stage::HeadCamera, Variant::Default), MadeUp::new(&head, ("logits", &rows), logits)),
    ];
    let engines = made.map(|(key, made)| {
        let scratch_bytes = if key.0 == Stage::HeadCamera { scratch_bytes } else { 0 };
        (key, MadeUp { weights_bytes, scratch_bytes, ..made }.opened())
    });
    let engines = OpenedEngines::from_engines(engines.into());
    let plan = GenerationPlan::new(&config(), &[], &settings()).expect("sound settings");
    let job = Arc::new(LoopJob::new(&config(), &settings(), &plan, 1, &engines).expect("no profiles"));
    let device = Arc::clone(device) as Arc<dyn ComputeDevice>;
    (DeviceLoop::new(&device, &engines, &job, false, &SessionOptions::default()), job)
}

fn run(logits: Rule) -> Result<Vec<StepReport>, GenerationError> {
    let (mut made_up, _) = made_up(logits);
    Ok(made_up.run(&mut |_| ())?.remove(0))
}

/// The second token is drawn where the mass before it, 0.8, is within the nucleus of 0.8: rounding decides.
#[test]
fn undecided_rows_are_drawn_on_the_processor() {
    let mut row = vec![-60.0; VOCABULARY];
    (row[7], row[9]) = (0.8_f32.ln(), 0.2_f32.ln());
    let (mut device_loop, job) = made_up(constant(row.clone()));
    let steps = device_loop.run(&mut |_| ()).expect("tokens").remove(0);
    let mut n_undecided = 0;
    let mut n_chunks = 0;
    for (step, planned) in steps.iter().zip(&job.plan.steps) {
        let rows = row.repeat(planned.queries.len());
        let expected = planned.sampler.sample(Logits::Plain(&rows), &planned.noise, 0).expect("finite logits");
        assert_eq!(step.tokens, expected.iter().map(|draw| draw.token).collect::<Vec<_>>());
        let arguments = planned.sampler.arguments(&planned.noise, 0).expect("a small vocabulary");
        let outcomes = host::sample(&rows, &arguments).expect("whole rows");
        n_undecided += outcomes.iter().filter(|outcome| **outcome == Outcome::Undecided).count();
        n_chunks += planned.queries.len().div_ceil(8);
    }
    assert!(n_undecided > 0, "no row is undecided");
    let calls = device_loop.sessions.take_timings()[&(Stage::HeadCamera, Variant::Default)].calls;
    assert!(calls > n_chunks, "{calls} calls for {n_chunks} chunks");
    let table = device_loop.read_table().expect("a table").remove(0);
    for step in &steps {
        for (&position, &token) in step.positions.iter().zip(&step.tokens) {
            assert_eq!(table[job.layout.slot(0, (Modality::Camera, position as usize))], token);
        }
    }
}

#[test]
fn logits_that_are_no_numbers_are_refused() {
    let with = |value| {
        let mut row = vec![0.0; VOCABULARY];
        row[3] = value;
        run(constant(row))
    };
    let refused = |value, expected: DecodingError| match with(value) {
        Err(GenerationError::Decoding(error)) => assert_eq!(error, expected),
        other => panic!("{other:?}"),
    };
    refused(f32::NAN, DecodingError::NanLogit { row: 0 });
    refused(f32::INFINITY, DecodingError::InfiniteLogit { row: 0 });
    let nothing = run(constant(vec![f32::NEG_INFINITY; VOCABULARY]));
    assert!(matches!(nothing, Err(GenerationError::Decoding(DecodingError::NoFiniteLogit { row: 0 }))), "{nothing:?}");
    assert!(with(1.0).is_ok());
}

#[test]
fn a_lost_device_is_told_from_other_failures() {
    let lost = || DeviceError::Lost { name: "GPU".to_owned(), what: "it is gone".to_owned() };
    let error = run(Arc::new(move |_| Err(lost().into()))).expect_err("the head fails");
    assert!(matches!(error.device(), Some(DeviceError::Lost { .. })), "{error}");
    let other = run(Arc::new(|_| Err(EngineError::Cancelled))).expect_err("the head fails");
    assert!(other.device().is_none());
}

#[test]
fn a_device_that_is_too_small_says_what_is_where() {
    const WEIGHTS_BYTES: usize = 4096;
    const SCRATCH_BYTES: u64 = 1 << 20;
    let try_with = |total_bytes| {
        let device = HostDevice::new(total_bytes);
        let made = made_up_on(&device, zeros(), (WEIGHTS_BYTES, SCRATCH_BYTES)).0;
        made.map(|(_, memory)| memory)
    };
    let memory = try_with(DEVICE_BYTES).expect("there is room");
    let needed_bytes = 4 * WEIGHTS_BYTES as u64 + memory.tensors_bytes + memory.scratch_bytes;
    assert_eq!(try_with(needed_bytes).expect("there is just enough"), memory);
    let refusal = |total_bytes| {
        let error = try_with(total_bytes).expect_err("there is no room");
        assert!(matches!(error.device(), Some(DeviceError::OutOfMemory { .. })), "{error}");
        error.to_string()
    };
    let total_bytes = needed_bytes - 1;
    assert_eq!(
        refusal(total_bytes),
        format!(
            "host has {} bytes of memory free of {total_bytes} after 16384 of weights, expected 1048576 of scratch and {} of tensors for 1 clip decoded together: even one clip does not fit\n\
             use engines of half precision, or a device with more memory",
            total_bytes - 4 * WEIGHTS_BYTES as u64,
            memory.tensors_bytes
        )
    );
    assert_eq!(
        refusal(10_000),
        "host has 1808 bytes of memory free of 10000 after 8192 of weights, and more weights are to come: even one clip does not fit\n\
         use engines of half precision, or a device with more memory"
    );
}
