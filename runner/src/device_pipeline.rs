//! Clips to predictions on one device: between frames in and predictions out, only drawn tokens leave it.
//!
//! Positions, noise and who sees whom follow from the settings alone, so that every list of indices is computed and
//! uploaded once, and all memory is allocated once, for the largest step. A step enqueues: tokens are gathered from a
//! table of all tokens; encoder and decoder; guidance on hidden states; head and draw, a bounded number of rows at a
//! time; the tokens are scattered into the table. Then the drawn tokens are read back, which is the one time that the
//! processor waits in a step. Rows that the device leaves undecided ([`egom2p_kernels::Outcome::Undecided`]) are drawn by
//! the sampler on the processor.

mod arena;
mod clips;
mod device_loop;
mod draw;
mod layout;
mod opened;
mod room;
mod schedule;
mod tensors;
#[cfg(all(test, feature = "host-kernels"))]
mod tests;

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Instant};

use egom2p_device::{ComputeDevice, DeviceError};
use egom2p_engine_core::SessionOptions;
use egom2p_engines::Bundle;
use egom2p_model::{Modality, ModelConfig, Stage, Variant};

pub use self::room::DeviceRoomError;
use self::{
    device_loop::{DeviceLoop, LoopJob},
    opened::{OpenedEngines, Request},
    tensors::LoopTensors,
};
use crate::{
    engine_stages::EngineTiming,
    frames::Frames,
    generation::{
        Generated, GenerationError, GenerationPlan, GenerationSettings, ModalityTokens, StepReport, check_tokens,
    },
    pipeline::{Given, PipelineError, Prediction, PredictionSecs},
};

/// What a [`DevicePipeline`] is made for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DevicePlan {
    /// Conditions that come as tokens.
    pub given: Vec<Modality>,
    /// What the frames of a clip show, where there are frames to tokenise: the first of the conditions.
    pub video: Option<Modality>,
    /// Clips that are decoded together at the most.
    pub batch: NonZeroUsize,
    /// Whether decoded tokens become sequences and videos.
    pub detokenize: bool,
}

/// Memory of a [`DevicePipeline`] on its device, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DevicePipelineMemory {
    /// Tensors between stages and the schedule of all steps.
    pub tensors_bytes: u64,
    /// What the sessions take turns in using beside their weights.
    pub scratch_bytes: u64,
    /// What the device lost since the pipeline began to be made, weights included.
    pub used_bytes: u64,
}

/// The stages of a bundle on one device, with memory and schedule planned once for one kind of clips.
///
/// A pipeline owns its stream: several ([`DevicePipeline::another`]) may run in threads of their own.
pub struct DevicePipeline {
    shared: Arc<Shared>,
    inner: DeviceLoop,
    memory: DevicePipelineMemory,
}

/// What the pipelines of several streams have in common.
struct Shared {
    bundle: Bundle,
    device: Arc<dyn ComputeDevice>,
    engines: OpenedEngines,
    job: Arc<LoopJob>,
    plan: DevicePlan,
    options: SessionOptions,
}

impl DevicePipeline {
    /// Opens the engines that `settings` and `plan` need, loads their weights and plans all memory.
    ///
    /// Targets that do not see each other ([`crate::generation::Chaining::Independent`]) and whose steps have equal sizes
    /// are decoded side by side in the batch, where the engines were built for such a batch.
    ///
    /// # Errors
    /// [`egom2p_engine_core::EngineError::OutsideProfile`] where an engine was built for a smaller batch or fewer tokens,
    /// [`egom2p_engine_core::EngineError::NotOnDevice`] where one was built for another kind of device, and
    /// [`DeviceRoomError`] where the device is too small.
    pub fn new(
        bundle: Bundle,
        device: Arc<dyn ComputeDevice>,
        config: &ModelConfig,
        settings: &GenerationSettings,
        plan: &DevicePlan,
        options: &SessionOptions,
    ) -> Result<Self, PipelineError> {
        let free_bytes = device.memory().map_err(GenerationError::from)?.free_bytes;
        let conditions: Vec<Modality> = plan.video.iter().chain(&plan.given).copied().collect();
        let generation = GenerationPlan::new(config, &conditions, settings)?;
        let mut requests = LoopJob::requests(&generation);
        requests.extend(plan.video.map(|_| Request::of(Stage::VideoEncoder)));
        if plan.detokenize {
            requests.extend(settings.targets.iter().map(|target| Request::of(Stage::detokenizer(target.modality))));
        }
        let engines = OpenedEngines::open(&bundle, requests).map_err(GenerationError::from)?;
        let job = LoopJob::new(config, settings, &generation, plan.batch.get(), &engines);
        let job = Arc::new(job.map_err(GenerationError::from)?);
        let shared = Shared { bundle, device, engines, job, plan: plan.clone(), options: options.clone() };
        Ok(Self::make(Arc::new(shared), free_bytes)?)
    }

    /// A pipeline of the same kind with a stream, sessions and memory of its own; what backends can share of the weights
    /// is shared.
    pub fn another(&self) -> Result<Self, PipelineError> {
        let free_bytes = self.shared.device.memory().map_err(GenerationError::from)?.free_bytes;
        Ok(Self::make(Arc::clone(&self.shared), free_bytes)?)
    }

    /// This pipeline and as many others of its kind as make `n_streams`.
    ///
    /// # Errors
    /// [`DeviceRoomError::Streams`] where the device has no room for so many.
    pub fn streams(self, n_streams: NonZeroUsize) -> Result<Vec<Self>, PipelineError> {
        let mut pipelines = vec![self];
        while pipelines.len() < n_streams.get() {
            match pipelines[0].another() {
                Ok(pipeline) => pipelines.push(pipeline),
                Err(error) => return Err(pipelines[0].streams_error((pipelines.len(), n_streams.get()), error)),
            }
        }
        Ok(pipelines)
    }

    /// Predicts every target for up to a batch of clips; `observe` sees every step of every clip. The plan must say
    /// `detokenize`. Wall times are those of the whole batch, and those of steps as in [`DevicePipeline::generate`].
    pub fn predict(
        &mut self,
        clips: Vec<Given>,
        observe: &mut dyn FnMut(&StepReport),
    ) -> Result<Vec<Prediction>, PipelineError> {
        let mut secs = PredictionSecs::default();
        let started = Instant::now();
        let mut tables = Vec::with_capacity(clips.len());
        for clip in &clips {
            tables.push(self.shared.table(clip.video.as_ref().map(|(modality, _)| *modality), &clip.tokens)?);
        }
        self.shared.check_batch(clips.len())?;
        self.inner.write_table(&tables)?;
        for (index, clip) in clips.iter().enumerate() {
            if let Some((modality, frames)) = &clip.video {
                self.tokenize((index, *modality), frames)?;
            }
        }
        secs.tokenize = started.elapsed().as_secs_f64();

        let started = Instant::now();
        let steps = self.inner.run(observe)?;
        let tables = self.inner.read_table()?;
        secs.generate = started.elapsed().as_secs_f64();

        let started = Instant::now();
        let mut predictions = Vec::with_capacity(clips.len());
        for ((clip, steps), (index, table)) in clips.into_iter().zip(steps).zip(tables.iter().enumerate()) {
            let video = clip.video.map(|(modality, _)| self.shared.tokens(table, modality));
            let given = video.into_iter().chain(clip.tokens).collect();
            let generated = self.shared.generated(table, steps);
            let (camera, gaze, depth, rgb) = (None, None, None, None);
            let mut prediction = Prediction { given, generated, camera, gaze, depth, rgb, secs };
            for target in &self.shared.job.settings.targets {
                let decoded = self.inner.detokenize(&self.shared.job, (index, target.modality))?;
                prediction.take(target.modality, decoded)?;
            }
            predictions.push(prediction);
        }
        secs.detokenize = started.elapsed().as_secs_f64();
        for prediction in &mut predictions {
            prediction.secs = secs;
        }
        Ok(predictions)
    }

    /// Decodes every target for up to a batch of clips, from tokens alone: the plan has no `video`. `observe` sees every
    /// step of every clip.
    ///
    /// Wall times of a step are those of the whole batch. On a GPU, work is enqueued and runs later: encoder, decoder and
    /// head are what enqueueing took, and the wait for everything stands under sampling. Timings of engines too are those
    /// of enqueueing.
    pub fn generate(
        &mut self,
        clips: &[Vec<ModalityTokens>],
        observe: &mut dyn FnMut(&StepReport),
    ) -> Result<Vec<Generated>, GenerationError> {
        let tables = clips.iter().map(|clip| self.shared.table(None, clip)).collect::<Result<Vec<_>, _>>()?;
        self.shared.check_batch(clips.len())?;
        self.inner.write_table(&tables)?;
        let steps = self.inner.run(observe)?;
        let tables = self.inner.read_table()?;
        Ok(tables.iter().zip(steps).map(|(table, steps)| self.shared.generated(table, steps)).collect())
    }

    /// What it takes on the device.
    pub fn memory(&self) -> DevicePipelineMemory {
        self.memory
    }

    /// What enqueueing the calls of every engine took since the last call of this function.
    pub fn take_timings(&mut self) -> BTreeMap<(Stage, Variant), EngineTiming> {
        self.inner.sessions.take_timings()
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.shared.bundle
    }

    /// What it was made for.
    pub fn plan(&self) -> &DevicePlan {
        &self.shared.plan
    }

    /// The device.
    pub fn device(&self) -> &Arc<dyn ComputeDevice> {
        &self.shared.device
    }

    fn make(shared: Arc<Shared>, free_bytes: u64) -> Result<Self, GenerationError> {
        let with_clips = shared.plan.video.is_some() || shared.plan.detokenize;
        let (inner, mut memory) =
            DeviceLoop::new(&shared.device, &shared.engines, &shared.job, with_clips, &shared.options)?;
        memory.used_bytes = free_bytes.saturating_sub(shared.device.memory()?.free_bytes);
        Ok(Self { shared, inner, memory })
    }

    /// What `error` means where it is the memory of the device that ended.
    fn streams_error(&self, (fitting, asked): (usize, usize), error: PipelineError) -> PipelineError {
        let Some(cause @ DeviceError::OutOfMemory { .. }) = error.device() else { return error };
        let Ok(memory) = self.shared.device.memory() else { return error };
        let room = DeviceRoomError::Streams {
            device: self.shared.device.facts().name.clone(),
            fitting,
            asked,
            stream_bytes: self.memory.tensors_bytes + self.memory.scratch_bytes,
            free_bytes: memory.free_bytes,
            total_bytes: memory.total_bytes,
            cause: cause.clone(),
        };
        PipelineError::Generation(Box::new(room).into())
    }

    fn tokenize(&mut self, place: (usize, Modality), frames: &Frames) -> Result<(), PipelineError> {
        Ok(self.inner.tokenize(&self.shared.job, place, frames)?)
    }
}

impl DeviceLoop {
    /// A stream of the device, sessions, and memory for a full batch.
    fn new(
        device: &Arc<dyn ComputeDevice>,
        engines: &OpenedEngines,
        job: &Arc<LoopJob>,
        with_clips: bool,
        options: &SessionOptions,
    ) -> Result<(Self, DevicePipelineMemory), GenerationError> {
        let before_bytes = device.memory()?.free_bytes;
        let stream = Arc::clone(device).stream()?;
        let mut sessions = engines.sessions(device, options).map_err(|error| {
            match DeviceRoomError::weights(&error, before_bytes, device.as_ref()) {
                Some(room) => GenerationError::from(Box::new(room)),
                None => error.into(),
            }
        })?;
        let free_bytes = device.memory()?.free_bytes;
        let sizes = (job.batch, with_clips);
        let memory = DevicePipelineMemory {
            tensors_bytes: LoopTensors::n_bytes(&job.config, &job.settings, &job.schedule, sizes),
            scratch_bytes: sessions.scratch_bytes(),
            used_bytes: 0,
        };
        let too_small = |cause: DeviceError| {
            let known = (before_bytes, free_bytes);
            match DeviceRoomError::batch((job, engines, with_clips), memory, known, (device.as_ref(), &cause)) {
                Some(room) => GenerationError::from(Box::new(room)),
                None => cause.into(),
            }
        };
        let tensors = LoopTensors::new(stream.as_ref(), &job.config, &job.settings, &job.schedule, sizes);
        let tensors = tensors.map_err(too_small)?;
        if memory.scratch_bytes > 0 {
            let n_bytes = usize::try_from(memory.scratch_bytes).unwrap_or(usize::MAX);
            sessions.lend_scratch(&device.allocate(n_bytes).map_err(too_small)?)?;
        }
        Ok((Self { job: Arc::clone(job), stream, sessions, tensors, n_clips: 0 }, memory))
    }
}

impl Shared {
    /// The tokens of a clip as the table has them; zeros for what is not known yet.
    fn table(&self, video: Option<Modality>, tokens: &[ModalityTokens]) -> Result<Vec<i64>, GenerationError> {
        let names = |video: Option<Modality>, given: &mut dyn Iterator<Item = Modality>| {
            let mut given: Vec<&str> = given.map(Modality::name).collect();
            given.sort_unstable();
            let video = video.map(|video| format!("a video of {}", video.name()));
            let tokens = (!given.is_empty()).then(|| format!("tokens of {}", given.join(", ")));
            let parts: Vec<String> = video.into_iter().chain(tokens).collect();
            if parts.is_empty() { "nothing".to_owned() } else { parts.join(" and ") }
        };
        let expected = names(self.plan.video, &mut self.plan.given.iter().copied());
        let actual = names(video, &mut tokens.iter().map(|tokens| tokens.modality));
        if expected != actual {
            return Err(GenerationError::Inputs { expected, actual });
        }
        let mut table = vec![0; self.job.layout.n_positions()];
        for given in tokens {
            check_tokens(&self.job.config, given)?;
            let start = self.job.layout.slot(0, (given.modality, 0));
            table[start..start + given.tokens.len()].copy_from_slice(&given.tokens);
        }
        Ok(table)
    }

    fn check_batch(&self, actual: usize) -> Result<(), GenerationError> {
        let expected = self.plan.batch.get();
        if (1..=expected).contains(&actual) { Ok(()) } else { Err(GenerationError::Batch { expected, actual }) }
    }

    fn generated(&self, table: &[i64], steps: Vec<StepReport>) -> Generated {
        let targets = self.job.settings.targets.iter().map(|target| self.tokens(table, target.modality));
        Generated { targets: targets.collect(), steps }
    }

    fn tokens(&self, table: &[i64], modality: Modality) -> ModalityTokens {
        let start = self.job.layout.slot(0, (modality, 0));
        ModalityTokens { modality, tokens: table[start..start + self.job.config.n_tokens(modality)].to_vec() }
    }
}
