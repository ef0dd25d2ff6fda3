use std::ops::Range;

use egom2p_device::{Buffer, ComputeDevice, DeviceError, Stream};
use egom2p_model::{Modality, ModelConfig};

use super::{arena::ArenaPlan, layout::TableLayout, schedule::DeviceSchedule};
use crate::generation::GenerationSettings;

/// The tensors between stages, each as large as the largest step needs it. They are allocated once.
#[derive(Debug)]
pub(crate) struct LoopTensors {
    /// Tokens i64 `[clips, positions]` ([`TableLayout`]).
    pub(crate) table: Buffer,
    /// The lists of the schedule, i64.
    pub(crate) lists: Buffer,
    /// The encoder's tokens i64 `[lanes, visible]`.
    pub(crate) ids: Buffer,
    /// Encoder states f32 `[lanes, visible, dim]` of the conditional pass.
    pub(crate) context: Buffer,
    /// Encoder states of the decoded tokens alone.
    pub(crate) decoded_context: Buffer,
    /// Encoder states of the condition alone, `[clips, visible, dim]`.
    pub(crate) kept: Buffer,
    /// Hidden states f32 `[lanes, queries, dim]`, conditional until they are mixed.
    pub(crate) hidden: Buffer,
    /// The same of the unconditional pass.
    pub(crate) unconditional: Buffer,
    /// Rows of hidden states that stand where engines do not take them.
    pub(crate) rows: Buffer,
    /// Logits f32 `[rows, vocabulary]`.
    pub(crate) logits: Buffer,
    /// Outcomes i64 `[lanes, queries]`.
    pub(crate) outcomes: Buffer,
    /// Truth values that are all true, `[lanes, visible]` or `[lanes, queries]`.
    pub(crate) mask: Buffer,
    /// Frames f32 `[1, 3, frames, height, width]`, in or out; a decoded sequence.
    pub(crate) clip: Buffer,
    /// Tokens i64 of one modality of one clip, on their way into or out of the table.
    pub(crate) clip_tokens: Buffer,
}

impl LoopTensors {
    /// Tensors for up to `batch` clips; `with_clips` says whether frames or sequences are among them. Lists, table and
    /// masks are filled.
    pub(crate) fn new(
        stream: &dyn Stream,
        config: &ModelConfig,
        settings: &GenerationSettings,
        schedule: &DeviceSchedule,
        sizes: (usize, bool),
    ) -> Result<Self, DeviceError> {
        let device: &dyn ComputeDevice = stream.device().as_ref();
        let (plan, rooms) = Rooms::plan(config, settings, schedule, sizes);
        let arena = plan.allocate(device)?;
        let tensors = Self {
            table: arena.buffer(&rooms.table)?,
            lists: arena.buffer(&rooms.lists)?,
            ids: arena.buffer(&rooms.ids)?,
            context: arena.buffer(&rooms.context)?,
            decoded_context: arena.buffer(&rooms.decoded_context)?,
            kept: arena.buffer(&rooms.kept)?,
            hidden: arena.buffer(&rooms.hidden)?,
            unconditional: arena.buffer(&rooms.unconditional)?,
            rows: arena.buffer(&rooms.rows)?,
            logits: arena.buffer(&rooms.logits)?,
            outcomes: arena.buffer(&rooms.outcomes)?,
            mask: arena.buffer(&rooms.mask)?,
            clip: arena.buffer(&rooms.clip)?,
            clip_tokens: arena.buffer(&rooms.clip_tokens)?,
        };
        upload(stream, &tensors.lists, &schedule.words)?;
        stream.write(&tensors.table, &mut |staged| staged.fill(0))?;
        stream.write(&tensors.mask, &mut |staged| staged.fill(1))?;
        Ok(tensors)
    }

    /// Bytes that [`LoopTensors::new`] asks for.
    pub(crate) fn n_bytes(
        config: &ModelConfig,
        settings: &GenerationSettings,
        schedule: &DeviceSchedule,
        sizes: (usize, bool),
    ) -> u64 {
        Rooms::plan(config, settings, schedule, sizes).0.n_bytes() as u64
    }
}

/// Where the tensors stand in the memory that they share.
struct Rooms {
    table: Range<usize>,
    lists: Range<usize>,
    ids: Range<usize>,
    context: Range<usize>,
    decoded_context: Range<usize>,
    kept: Range<usize>,
    hidden: Range<usize>,
    unconditional: Range<usize>,
    rows: Range<usize>,
    logits: Range<usize>,
    outcomes: Range<usize>,
    mask: Range<usize>,
    clip: Range<usize>,
    clip_tokens: Range<usize>,
}

impl Rooms {
    fn plan(
        config: &ModelConfig,
        settings: &GenerationSettings,
        schedule: &DeviceSchedule,
        (batch, with_clips): (usize, bool),
    ) -> (ArenaPlan, Self) {
        let mut n_visible = 0;
        let (mut n_kept, mut n_context, mut n_decoded, mut n_hidden, mut n_unconditional) = (0, 0, 0, 0, 0);
        for step in &schedule.steps {
            let lanes = batch * step.planned.len();
            let all = lanes * (step.n_condition + step.n_decoded);
            n_visible = n_visible.max(all);
            n_context = n_context.max(all);
            n_decoded = n_decoded.max(step.decoded.as_ref().map_or(0, |places| lanes * places.n));
            n_kept = n_kept.max(step.condition.as_ref().map_or(0, |places| batch * places.n));
            n_hidden = n_hidden.max(lanes * step.n_queries);
            n_unconditional = n_unconditional.max(if step.guided { lanes * step.n_queries } else { 0 });
        }
        let head_rows = settings.head_rows.get().min(n_hidden);
        let vocabularies = settings.targets.iter().map(|target| config.vocabulary(target.modality));
        let n_tokens = Modality::ALL.into_iter().map(|modality| config.n_tokens(modality));
        let layout = TableLayout::new(config);
        let n_pixels = 3 * config.video.padded_frames() * config.video.height * config.video.width;

        let mut plan = ArenaPlan::default();
        let rooms = Self {
            table: plan.room(batch * layout.n_positions(), 8),
            lists: plan.room(schedule.words.len(), 8),
            ids: plan.room(n_visible, 8),
            context: plan.room(n_context * config.dim, 4),
            decoded_context: plan.room(n_decoded * config.dim, 4),
            kept: plan.room(n_kept * config.dim, 4),
            hidden: plan.room(n_hidden * config.dim, 4),
            unconditional: plan.room(n_unconditional * config.dim, 4),
            rows: plan.room(head_rows * config.dim, 4),
            logits: plan.room(head_rows * vocabularies.max().unwrap_or(0), 4),
            outcomes: plan.room(n_hidden, 8),
            mask: plan.room(n_visible.max(n_hidden), 1),
            clip: plan.room(if with_clips { n_pixels.max(config.motion.samples * 9) } else { 0 }, 4),
            clip_tokens: plan.room(if with_clips { n_tokens.max().unwrap_or(0) } else { 0 }, 8),
        };
        (plan, rooms)
    }
}

/// Enqueues a transfer of numbers into the first bytes of a buffer.
pub(crate) fn upload(stream: &dyn Stream, to: &Buffer, values: &[i64]) -> Result<(), DeviceError> {
    let room = to.slice(0..values.len() * 8)?;
    stream.write(&room, &mut |staged| {
        for (bytes, value) in staged.as_chunks_mut::<8>().0.iter_mut().zip(values) {
            *bytes = value.to_ne_bytes();
        }
    })
}

/// Waits, and fetches numbers from the first bytes of a buffer.
pub(crate) fn download(stream: &dyn Stream, from: &Buffer, n_values: usize) -> Result<Vec<i64>, DeviceError> {
    let mut values = Vec::new();
    stream.read(&from.slice(0..n_values * 8)?, &mut |staged| {
        values = staged.as_chunks::<8>().0.iter().map(|bytes| i64::from_ne_bytes(*bytes)).collect();
    })?;
    Ok(values)
}

/// Waits, and fetches floats from the first bytes of a buffer.
pub(crate) fn download_floats(stream: &dyn Stream, from: &Buffer, n_values: usize) -> Result<Vec<f32>, DeviceError> {
    let mut values = Vec::new();
    stream.read(&from.slice(0..n_values * 4)?, &mut |staged| {
        values = staged.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
    })?;
    Ok(values)
}
