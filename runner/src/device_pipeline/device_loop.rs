use std::{ops::Range, sync::Arc, time::Instant};

use egom2p_device::{Buffer, Kernel, Stream};
use egom2p_engine_core::{DType, DeviceTensor, EngineError};
use egom2p_model::{ModelConfig, Stage, Variant};

use super::{
    layout::TableLayout,
    opened::{CallDims, DeviceSessions, OpenedEngines, Request},
    schedule::{DeviceSchedule, DeviceStep, Places},
    tensors::{LoopTensors, download, upload},
};
use crate::generation::{
    Encoding, GenerationError, GenerationPlan, GenerationSettings, GuidanceOn, PlannedStep, StepReport, StepSecs,
};

/// What a loop is made for, the same for every stream.
pub(crate) struct LoopJob {
    pub(crate) config: ModelConfig,
    pub(crate) settings: GenerationSettings,
    pub(crate) plan: GenerationPlan,
    pub(crate) schedule: DeviceSchedule,
    pub(crate) layout: TableLayout,
    /// Clips that are decoded together at the most.
    pub(crate) batch: usize,
}

/// The decoding loop on a device: the tokens in its table in, the tokens in its table out.
pub(crate) struct DeviceLoop {
    pub(super) job: Arc<LoopJob>,
    pub(super) stream: Arc<dyn Stream>,
    pub(super) sessions: DeviceSessions,
    pub(super) tensors: LoopTensors,
    /// Clips that are being decoded.
    pub(super) n_clips: usize,
}

impl LoopJob {
    /// The job, with targets side by side where the engines were built for such a batch. Fails where an engine was not
    /// built for a call that will be made.
    pub(crate) fn new(
        config: &ModelConfig,
        settings: &GenerationSettings,
        plan: &GenerationPlan,
        batch: usize,
        engines: &OpenedEngines,
    ) -> Result<Self, EngineError> {
        let schedule = |side_by_side| DeviceSchedule::new(config, settings, plan, (batch, side_by_side));
        let job = |schedule| Self {
            config: config.clone(),
            settings: settings.clone(),
            plan: plan.clone(),
            schedule,
            layout: TableLayout::new(config),
            batch,
        };
        let side_by_side = job(schedule(true));
        if side_by_side.check(engines).is_ok() {
            return Ok(side_by_side);
        }
        let one_by_one = job(schedule(false));
        one_by_one.check(engines)?;
        Ok(one_by_one)
    }

    /// What the steps of a plan ask of engines.
    pub(crate) fn requests(plan: &GenerationPlan) -> Vec<Request> {
        let mut requests = Vec::new();
        for step in plan.steps.iter().filter(|step| !step.queries.is_empty()) {
            if matches!(step.encoding, Encoding::Condition | Encoding::Whole) || step.encodes_decoded() {
                requests.push(Request::of(Stage::Encoder));
            }
            let sees_nothing = step.encoding == Encoding::Nothing;
            if sees_nothing || (step.guided && step.decoded.is_empty()) {
                requests.push(Request { stage: Stage::Decoder, contextless: true });
            }
            if !sees_nothing || (step.guided && !step.decoded.is_empty()) {
                requests.push(Request::of(Stage::Decoder));
            }
            requests.push(Request::of(Stage::head(step.modality)));
        }
        requests
    }

    /// Fails unless every engine was built for the calls that a full batch makes.
    fn check(&self, engines: &OpenedEngines) -> Result<(), EngineError> {
        for step in self.schedule.steps.iter().filter(|step| step.n_queries > 0) {
            let lanes = self.batch * step.planned.len();
            let encoder = |batch, n_visible| -> CallDims { vec![("batch", batch), ("visible", n_visible)] };
            let decoder = |n_visible| {
                let dims: CallDims = vec![("batch", lanes), ("visible", n_visible), ("queries", step.n_queries)];
                engines.check(Request { stage: Stage::Decoder, contextless: n_visible == 0 }, &dims)
            };
            if let Some(places) = &step.condition {
                engines.check(Request::of(Stage::Encoder), &encoder(self.batch, places.n))?;
            }
            for places in step.whole.iter().chain(&step.decoded) {
                engines.check(Request::of(Stage::Encoder), &encoder(lanes, places.n))?;
            }
            decoder(step.n_condition + step.n_decoded)?;
            if step.guided {
                decoder(step.n_decoded)?;
            }
        }
        Ok(())
    }
}

impl DeviceLoop {
    /// Decodes every target of the clips whose tokens are in the table. Gives the steps of every clip, as planned.
    pub(crate) fn run(
        &mut self,
        observe: &mut dyn FnMut(&StepReport),
    ) -> Result<Vec<Vec<StepReport>>, GenerationError> {
        let job = Arc::clone(&self.job);
        let mut reports: Vec<Vec<(usize, StepReport)>> = vec![Vec::new(); self.n_clips];
        for step in &job.schedule.steps {
            let mut secs = StepSecs::default();
            let tokens = if step.n_queries == 0 { Vec::new() } else { self.step(&job, step, &mut secs)? };
            for (clip, reports) in reports.iter_mut().enumerate() {
                for (lane, &planned) in step.planned.iter().enumerate() {
                    let first = (clip * step.planned.len() + lane) * step.n_queries;
                    let tokens = tokens[first..][..step.n_queries].to_vec();
                    let report = StepReport::new(&job.plan.steps[planned], &job.config, tokens, secs);
                    observe(&report);
                    reports.push((planned, report));
                }
            }
        }
        Ok(reports
            .into_iter()
            .map(|mut reports| {
                reports.sort_by_key(|(planned, _)| *planned);
                reports.into_iter().map(|(_, report)| report).collect()
            })
            .collect())
    }

    /// The tokens that were drawn, `[lanes, queries]`.
    fn step(&mut self, job: &LoopJob, step: &DeviceStep, secs: &mut StepSecs) -> Result<Vec<i64>, GenerationError> {
        let lanes = self.n_clips * step.planned.len();
        let started = Instant::now();
        self.encode_all(job, step)?;
        secs.encoder += started.elapsed().as_secs_f64();

        let started = Instant::now();
        let n_visible = step.n_condition + step.n_decoded;
        let alone = matches!(step.encoding, Encoding::Condition | Encoding::Kept) && step.planned.len() == 1;
        let context = if alone { &self.tensors.kept } else { &self.tensors.context }.clone();
        let hidden = self.tensors.hidden.clone();
        self.decode(job, step, (&context, n_visible), &hidden)?;
        if step.guided {
            let (context, hidden) = (self.tensors.decoded_context.clone(), self.tensors.unconditional.clone());
            self.decode(job, step, (&context, step.n_decoded), &hidden)?;
        }
        secs.decoder += started.elapsed().as_secs_f64();

        let target = &job.settings.targets[job.plan.steps[step.planned[0]].target];
        let n_rows = lanes * step.n_queries;
        let probabilities = step.guided && target.guidance_on == GuidanceOn::Probabilities;
        if step.guided && !probabilities {
            self.stream.launch(&Kernel::Guide {
                mixed: &self.tensors.hidden,
                conditional: &self.tensors.hidden,
                unconditional: &self.tensors.unconditional,
                weight: target.guidance,
                n_values: n_rows * job.config.dim,
            })?;
        }
        if probabilities || Self::arguments(job, step, 0, 0).is_none() {
            self.draw_on_host(job, step, probabilities.then_some(target.guidance), secs)
        } else {
            self.draw(job, step, secs)
        }
    }

    /// Every encoder pass of a step, into `kept`, `context` and `decoded_context`.
    fn encode_all(&mut self, job: &LoopJob, step: &DeviceStep) -> Result<(), GenerationError> {
        let lanes = self.n_clips * step.planned.len();
        if let Some(places) = &step.condition {
            let kept = self.tensors.kept.clone();
            self.encode(job, places, self.n_clips, &kept)?;
        }
        if let Some(places) = &step.decoded {
            let decoded = self.tensors.decoded_context.clone();
            self.encode(job, places, lanes, &decoded)?;
        }
        if let Some(places) = &step.whole {
            let context = self.tensors.context.clone();
            self.encode(job, places, lanes, &context)?;
        }
        let from_kept = match step.encoding {
            Encoding::Condition | Encoding::Kept => step.planned.len() > 1,
            Encoding::Joined => true,
            Encoding::Nothing | Encoding::Whole => false,
        };
        if !from_kept {
            return Ok(());
        }
        let row_bytes = job.config.dim * 4;
        let (kept_bytes, decoded_bytes) = (step.n_condition * row_bytes, step.n_decoded * row_bytes);
        for lane in 0..lanes {
            let clip = lane / step.planned.len();
            let start = lane * (kept_bytes + decoded_bytes);
            let part = |buffer: &Buffer, start: usize, n_bytes: usize| buffer.slice(start..start + n_bytes);
            let kept = part(&self.tensors.kept, clip * kept_bytes, kept_bytes)?;
            self.stream.copy(&part(&self.tensors.context, start, kept_bytes)?, &kept)?;
            if decoded_bytes > 0 {
                let decoded = part(&self.tensors.decoded_context, lane * decoded_bytes, decoded_bytes)?;
                self.stream.copy(&part(&self.tensors.context, start + kept_bytes, decoded_bytes)?, &decoded)?;
            }
        }
        Ok(())
    }

    /// Encoder states `[rows, n, dim]` of the tokens that stand at these places now.
    fn encode(
        &mut self,
        job: &LoopJob,
        places: &Places,
        n_rows: usize,
        context: &Buffer,
    ) -> Result<(), GenerationError> {
        let shape = [n_rows, places.n];
        let tokens = DeviceTensor::new(DType::I64, shape, &self.tensors.ids)?;
        self.stream.launch(&Kernel::Gather {
            gathered: tokens.buffer(),
            table: &self.tensors.table,
            indices: self.list(&places.slots, shape)?.buffer(),
            n_indices: n_rows * places.n,
        })?;
        let (modality, position) = (self.list(&places.modality, shape)?, self.list(&places.position, shape)?);
        let mask = DeviceTensor::new(DType::Bool, shape, &self.tensors.mask)?;
        let context = DeviceTensor::new(DType::F32, [n_rows, places.n, job.config.dim], context)?;
        let variant = self.sessions.variant(Request::of(Stage::Encoder))?;
        let mut inputs = vec![("tokens", &tokens), ("modality", &modality), ("position", &position)];
        if variant == Variant::Masked {
            inputs.push(("visible_mask", &mask));
        }
        let stream = self.stream.as_ref();
        Ok(self.sessions.enqueue(stream, (Stage::Encoder, variant), &inputs, ("context", &context))?)
    }

    /// Hidden states `[lanes, queries, dim]` for encoder states `[lanes, visible, dim]`.
    fn decode(
        &mut self,
        job: &LoopJob,
        step: &DeviceStep,
        (context, n_visible): (&Buffer, usize),
        hidden: &Buffer,
    ) -> Result<(), GenerationError> {
        let (lanes, dim) = (self.n_clips * step.planned.len(), job.config.dim);
        let (seen, asked) = ([lanes, n_visible], [lanes, step.n_queries]);
        let context = DeviceTensor::new(DType::F32, [lanes, n_visible, dim], context)?;
        let visible_mask = DeviceTensor::new(DType::Bool, seen, &self.tensors.mask)?;
        let query_mask = DeviceTensor::new(DType::Bool, asked, &self.tensors.mask)?;
        let modality = self.list(&step.queries.modality, asked)?;
        let position = self.list(&step.queries.position, asked)?;
        let hidden = DeviceTensor::new(DType::F32, [lanes, step.n_queries, dim], hidden)?;
        let variant = self.sessions.variant(Request { stage: Stage::Decoder, contextless: n_visible == 0 })?;
        let mut inputs = vec![("modality", &modality), ("position", &position)];
        if variant != Variant::Contextless {
            inputs.push(("context", &context));
        }
        if variant == Variant::Masked {
            inputs.extend([("visible_mask", &visible_mask), ("query_mask", &query_mask)]);
        }
        let stream = self.stream.as_ref();
        Ok(self.sessions.enqueue(stream, (Stage::Decoder, variant), &inputs, ("hidden", &hidden))?)
    }

    /// The first elements of a list of the schedule.
    pub(super) fn list(&self, words: &Range<usize>, shape: [usize; 2]) -> Result<DeviceTensor, EngineError> {
        let list = self.tensors.lists.slice(words.start * 8..words.end * 8)?;
        DeviceTensor::new(DType::I64, shape, &list)
    }

    /// The planned step of a lane.
    pub(super) fn planned<'j>(job: &'j LoopJob, step: &DeviceStep, lane: usize) -> &'j PlannedStep {
        &job.plan.steps[step.planned[lane % step.planned.len()]]
    }

    /// Enqueues a transfer of the tokens of the clips that are to be decoded.
    pub(crate) fn write_table(&mut self, clips: &[Vec<i64>]) -> Result<(), GenerationError> {
        self.n_clips = clips.len();
        Ok(upload(self.stream.as_ref(), &self.tensors.table, &clips.concat()).map_err(EngineError::from)?)
    }

    /// Waits, and fetches the tokens of the clips.
    pub(crate) fn read_table(&self) -> Result<Vec<Vec<i64>>, GenerationError> {
        let n_positions = self.job.layout.n_positions();
        let all = download(self.stream.as_ref(), &self.tensors.table, self.n_clips * n_positions);
        Ok(all.map_err(EngineError::from)?.chunks(n_positions.max(1)).map(<[i64]>::to_vec).collect())
    }
}
