use std::{ops::Range, time::Instant};

use egom2p_device::Kernel;
use egom2p_engine_core::{DType, DeviceTensor, EngineError};
use egom2p_kernels::{Outcome, SampleArguments};
use egom2p_model::Stage;

use super::{
    arena::ALIGNMENT,
    device_loop::{DeviceLoop, LoopJob},
    opened::Request,
    schedule::DeviceStep,
    tensors::{download, download_floats, upload},
};
use crate::{
    decoding::{DecodingError, Logits},
    generation::{GenerationError, StepSecs},
};

/// Rows of hidden states whose logits exist at a time; all are of one modality.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Chunk {
    stage: Stage,
    n_vocabulary: usize,
    /// Among the rows `[lanes, queries]` of a step.
    rows: Range<usize>,
}

/// Rows of a chunk that belong to one lane.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Piece {
    lane: usize,
    first_query: usize,
    rows: Range<usize>,
}

impl DeviceLoop {
    /// Draws on the device and scatters the tokens into the table. Rows that the device leaves undecided are drawn by the
    /// sampler on the processor, from the same logits and noise.
    pub(super) fn draw(
        &mut self,
        job: &LoopJob,
        step: &DeviceStep,
        secs: &mut StepSecs,
    ) -> Result<Vec<i64>, GenerationError> {
        let chunks = self.chunks(job, step);
        for chunk in &chunks {
            let started = Instant::now();
            self.head(job, chunk, false)?;
            secs.head += started.elapsed().as_secs_f64();
            let started = Instant::now();
            for Piece { lane, first_query, rows } in pieces(step, &chunk.rows) {
                let first = rows.start - chunk.rows.start;
                let bytes = 4 * chunk.n_vocabulary;
                let arguments = Self::arguments(job, step, lane, first_query);
                self.stream.launch(&Kernel::Sample {
                    outcomes: &self.tensors.outcomes.slice(rows.start * 8..rows.end * 8)?,
                    logits: &self.tensors.logits.slice(first * bytes..(first + rows.len()) * bytes)?,
                    arguments: arguments.ok_or_else(|| too_large(chunk.n_vocabulary))?,
                    n_rows: rows.len(),
                })?;
            }
            secs.sampling += started.elapsed().as_secs_f64();
        }
        let started = Instant::now();
        let n_rows = self.scatter(step)?;
        let codes = download(self.stream.as_ref(), &self.tensors.outcomes, n_rows)?;
        let mut tokens = Vec::with_capacity(n_rows);
        let mut undecided = Vec::new();
        for (row, &code) in codes.iter().enumerate() {
            let query = row % step.n_queries;
            match Outcome::from_code(code) {
                Some(Outcome::Token(token)) => tokens.push(i64::from(token)),
                Some(Outcome::Undecided) => {
                    undecided.push(row);
                    tokens.push(0);
                }
                Some(Outcome::NanLogit) => return Err(DecodingError::NanLogit { row: query }.into()),
                Some(Outcome::InfiniteLogit) => return Err(DecodingError::InfiniteLogit { row: query }.into()),
                Some(Outcome::NoFiniteLogit) => return Err(DecodingError::NoFiniteLogit { row: query }.into()),
                None => return Err(foreign_code(code)),
            }
        }
        for chunk in &chunks {
            self.redo(job, step, chunk, (&undecided, &mut tokens))?;
        }
        secs.sampling += started.elapsed().as_secs_f64();
        Ok(tokens)
    }

    /// Draws on the processor, from the logits of both passes where guidance is on probabilities, and scatters the tokens
    /// into the table. All logits cross the bus: slow.
    pub(super) fn draw_on_host(
        &mut self,
        job: &LoopJob,
        step: &DeviceStep,
        weight: Option<f32>,
        secs: &mut StepSecs,
    ) -> Result<Vec<i64>, GenerationError> {
        let mut tokens = Vec::new();
        for chunk in self.chunks(job, step) {
            let started = Instant::now();
            let n_values = chunk.rows.len() * chunk.n_vocabulary;
            self.head(job, &chunk, false)?;
            let conditional = download_floats(self.stream.as_ref(), &self.tensors.logits, n_values)?;
            let unconditional = if weight.is_some() {
                self.head(job, &chunk, true)?;
                download_floats(self.stream.as_ref(), &self.tensors.logits, n_values)?
            } else {
                Vec::new()
            };
            secs.head += started.elapsed().as_secs_f64();
            let started = Instant::now();
            for Piece { lane, first_query, rows } in pieces(step, &chunk.rows) {
                let values = (rows.start - chunk.rows.start) * chunk.n_vocabulary..;
                let values = values.start..values.start + rows.len() * chunk.n_vocabulary;
                let conditional = &conditional[values.clone()];
                let logits = match weight {
                    Some(weight) => {
                        Logits::GuidedProbabilities { conditional, unconditional: &unconditional[values], weight }
                    }
                    None => Logits::Plain(conditional),
                };
                let planned = Self::planned(job, step, lane);
                let draws = planned.sampler.sample(logits, &planned.noise, first_query)?;
                tokens.extend(draws.into_iter().map(|draw| draw.token));
            }
            secs.sampling += started.elapsed().as_secs_f64();
        }
        let started = Instant::now();
        upload(self.stream.as_ref(), &self.tensors.outcomes, &tokens)?;
        self.scatter(step)?;
        secs.sampling += started.elapsed().as_secs_f64();
        Ok(tokens)
    }

    /// What the sampling kernel is told for the rows of a lane from a query on; `None` for a vocabulary that it does not
    /// take.
    pub(super) fn arguments(
        job: &LoopJob,
        step: &DeviceStep,
        lane: usize,
        first_query: usize,
    ) -> Option<SampleArguments> {
        let planned = Self::planned(job, step, lane);
        planned.sampler.arguments(&planned.noise, first_query)
    }

    /// The head's calls of a step. Targets side by side have heads of their own.
    fn chunks(&self, job: &LoopJob, step: &DeviceStep) -> Vec<Chunk> {
        let n_rows = self.n_clips * step.planned.len() * step.n_queries;
        let n_together = if step.planned.len() == 1 { n_rows } else { step.n_queries };
        let mut chunks = Vec::new();
        for first in (0..n_rows).step_by(n_together.max(1)) {
            let modality = Self::planned(job, step, first / step.n_queries.max(1)).modality;
            let (stage, n_vocabulary) = (Stage::head(modality), job.config.vocabulary(modality));
            for start in (first..first + n_together).step_by(job.settings.head_rows.get()) {
                let end = (start + job.settings.head_rows.get()).min(first + n_together);
                chunks.push(Chunk { stage, n_vocabulary, rows: start..end });
            }
        }
        chunks
    }

    /// Enqueues the logits of a chunk.
    fn head(&mut self, job: &LoopJob, chunk: &Chunk, unconditional: bool) -> Result<(), GenerationError> {
        let row_bytes = job.config.dim * 4;
        let hidden = if unconditional { &self.tensors.unconditional } else { &self.tensors.hidden };
        let mut hidden = hidden.slice(chunk.rows.start * row_bytes..chunk.rows.end * row_bytes)?;
        if !hidden.address().is_multiple_of(ALIGNMENT) {
            let rows = self.tensors.rows.slice(0..hidden.n_bytes())?;
            self.stream.copy(&rows, &hidden)?;
            hidden = rows;
        }
        let n_rows = chunk.rows.len();
        let hidden = DeviceTensor::new(DType::F32, [1, n_rows, job.config.dim], &hidden)?;
        let logits = DeviceTensor::new(DType::F32, [1, n_rows, chunk.n_vocabulary], &self.tensors.logits)?;
        let variant = self.sessions.variant(Request::of(chunk.stage))?;
        let inputs = [("hidden", &hidden)];
        let stream = self.stream.as_ref();
        Ok(self.sessions.enqueue(stream, (chunk.stage, variant), &inputs, ("logits", &logits))?)
    }

    /// Enqueues the way of all outcomes into the table; what is not a token stays behind.
    fn scatter(&self, step: &DeviceStep) -> Result<usize, GenerationError> {
        let shape = [self.n_clips * step.planned.len(), step.n_queries];
        let n_rows = shape[0] * shape[1];
        self.stream.launch(&Kernel::Scatter {
            table: &self.tensors.table,
            indices: self.list(&step.queries.slots, shape)?.buffer(),
            values: &self.tensors.outcomes,
            n_indices: n_rows,
        })?;
        Ok(n_rows)
    }

    /// Draws the undecided rows of a chunk on the processor.
    fn redo(
        &mut self,
        job: &LoopJob,
        step: &DeviceStep,
        chunk: &Chunk,
        (undecided, tokens): (&[usize], &mut [i64]),
    ) -> Result<(), GenerationError> {
        let mut rows = undecided.iter().copied().filter(|row| chunk.rows.contains(row)).peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        self.head(job, chunk, false)?;
        for row in rows {
            let (lane, query) = (row / step.n_queries, row % step.n_queries);
            let bytes = 4 * chunk.n_vocabulary;
            let start = (row - chunk.rows.start) * bytes;
            let logits = self.tensors.logits.slice(start..start + bytes)?;
            let logits = download_floats(self.stream.as_ref(), &logits, chunk.n_vocabulary)?;
            let planned = Self::planned(job, step, lane);
            let draws = planned.sampler.sample(Logits::Plain(&logits), &planned.noise, query)?;
            tokens[row] = draws[0].token;
            let clip = lane / step.planned.len();
            let slot = job.layout.slot(clip, (planned.modality, planned.queries[query]));
            upload(self.stream.as_ref(), &self.tensors.table.slice(slot * 8..slot * 8 + 8)?, &[tokens[row]])?;
        }
        Ok(())
    }
}

/// The lanes of a range of rows `[lanes, queries]`.
fn pieces(step: &DeviceStep, rows: &Range<usize>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = rows.start;
    while start < rows.end {
        let lane = start / step.n_queries;
        let end = ((lane + 1) * step.n_queries).min(rows.end);
        pieces.push(Piece { lane, first_query: start % step.n_queries, rows: start..end });
        start = end;
    }
    pieces
}

fn too_large(n_vocabulary: usize) -> GenerationError {
    let setting = DecodingError::Setting {
        setting: "vocabulary",
        value: n_vocabulary.to_string(),
        expected: "what the sampling kernel takes",
    };
    setting.into()
}

fn foreign_code(code: i64) -> GenerationError {
    GenerationError::Tensor(EngineError::Backend {
        what: format!("the sampling kernel gave {code}, which stands for nothing"),
        mend: "report this: the kernels and this program are of different versions".to_owned(),
    })
}
