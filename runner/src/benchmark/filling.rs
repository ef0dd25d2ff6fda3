use std::num::NonZeroUsize;

use egom2p_device::DeviceError;
use egom2p_engine_core::EngineError;
use egom2p_engines::BundleError;

use super::ClipLatency;
use crate::{generation::GenerationError, pipeline::PipelineError, stages::StagesError, tokenizer::TokenizerError};

/// A doubled batch that gives less than this many times the clips per second ends the search.
const LEAST_GAIN: f64 = 1.05;
/// The largest batch that is tried.
const MAX_BATCH: usize = 1024;

/// How the batch that fills a card is found, for reports.
pub const FILLING_RULE: &str = "batches of 1, 2, 4, ... clips until the engines' ranges or the memory end, or a doubled batch gives less than 5 % more \
     clips per second; the batch that fills the card is the one of most clips per second";

/// What batches of growing size took.
#[derive(Clone, PartialEq, Debug)]
pub struct Filling {
    /// One measurement per batch, the smallest first.
    pub measured: Vec<ClipLatency>,
    /// Why there is no larger one.
    pub end: FillingEnd,
}

/// Why batches stopped growing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FillingEnd {
    /// The engines were not built for more clips.
    Ranges,
    /// The device has no memory for more clips.
    Memory,
    /// More clips at a time were hardly faster.
    Gain,
    /// No larger batch is tried.
    Most,
}

/// Doubles the batch by [`FILLING_RULE`]. `measure` measures one batch.
///
/// # Errors
/// Whatever keeps the first batch from being measured, and what is no matter of size in a later one.
pub fn fill(
    mut measure: impl FnMut(NonZeroUsize) -> Result<ClipLatency, PipelineError>,
) -> Result<Filling, PipelineError> {
    let mut measured = vec![measure(NonZeroUsize::MIN)?];
    loop {
        let last = &measured[measured.len() - 1];
        let next = last.batch.saturating_mul(NonZeroUsize::MIN.saturating_add(1));
        if next.get() > MAX_BATCH {
            return Ok(Filling { measured, end: FillingEnd::Most });
        }
        let before = last.clips_per_sec();
        match measure(next) {
            Ok(latency) => {
                let after = latency.clips_per_sec();
                measured.push(latency);
                if after < before * LEAST_GAIN {
                    return Ok(Filling { measured, end: FillingEnd::Gain });
                }
            }
            Err(error) => {
                let end = too_large(&error).ok_or(error)?;
                return Ok(Filling { measured, end });
            }
        }
    }
}

impl Filling {
    /// The batch of most clips per second, the smallest of several.
    pub fn best(&self) -> &ClipLatency {
        let mut best = &self.measured[0];
        for latency in &self.measured[1..] {
            if latency.clips_per_sec() > best.clips_per_sec() {
                best = latency;
            }
        }
        best
    }
}

impl FillingEnd {
    /// Why there is no larger batch, for reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ranges => "the engines were not built for more clips at a time",
            Self::Memory => "the device has no memory for more clips",
            Self::Gain => "twice as many clips gave less than 5 % more clips per second",
            Self::Most => "no larger batch is tried",
        }
    }
}

/// Why a batch failed, where that is its size.
fn too_large(error: &PipelineError) -> Option<FillingEnd> {
    let stages = |error: &StagesError| match error {
        StagesError::Engine(error) | StagesError::Bundle(BundleError::Engine(error)) => of_engine(error),
        _ => None,
    };
    if let PipelineError::Generation(error) = error
        && let Some(DeviceError::OutOfMemory { .. }) = error.device()
    {
        return Some(FillingEnd::Memory);
    }
    match error {
        PipelineError::Tokenizer(TokenizerError::Stages(error))
        | PipelineError::Generation(GenerationError::Stages(error)) => stages(error),
        PipelineError::Tokenizer(TokenizerError::Tensor(error))
        | PipelineError::Generation(GenerationError::Tensor(error)) => of_engine(error),
        _ => None,
    }
}

fn of_engine(error: &EngineError) -> Option<FillingEnd> {
    match error {
        EngineError::OutsideProfile { .. } => Some(FillingEnd::Ranges),
        EngineError::Device(DeviceError::OutOfMemory { .. }) => Some(FillingEnd::Memory),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, num::NonZeroUsize};

    use egom2p_device::DeviceError;
    use egom2p_engine_core::{DimRange, EngineError};

    use super::{Filling, FillingEnd, fill};
    use crate::{
        benchmark::{ClipLatency, ClipScope, Latency},
        generation::GenerationError,
        pipeline::{PipelineError, PredictionSecs},
        stages::StagesError,
    };

    fn latency(batch: NonZeroUsize, secs: f64) -> ClipLatency {
        ClipLatency {
            scope: ClipScope::Tokens,
            batch,
            latency: Latency::new(1, secs, []),
            secs: PredictionSecs::default(),
            sampling_secs: 0.0,
            engines: BTreeMap::new(),
            tokens: 10,
        }
    }

    fn batches(filling: &Filling) -> Vec<usize> {
        filling.measured.iter().map(|latency| latency.batch.get()).collect()
    }

    #[test]
    fn a_batch_that_gains_nothing_is_the_last() {
        // One clip takes a second, and up to four run at the same time.
        let filling = fill(|batch| Ok(latency(batch, (batch.get() as f64 / 4.0).max(1.0)))).expect("nothing fails");
        assert_eq!((batches(&filling), &filling.end), (vec![1, 2, 4, 8], &FillingEnd::Gain));
        assert_eq!(filling.best().batch.get(), 4);
    }

    #[test]
    fn ranges_and_memory_end_the_search_and_other_errors_do_not_hide() {
        let until = |most: usize, error: fn() -> PipelineError| {
            fill(|batch| if batch.get() > most { Err(error()) } else { Ok(latency(batch, 1.0)) })
        };
        let filling = until(4, || {
            let range = DimRange { min: 1, opt: 1, max: 4 };
            let error = EngineError::OutsideProfile { dim: "batch".to_owned(), got: 8, range };
            PipelineError::Generation(GenerationError::Stages(StagesError::Engine(error)))
        })
        .expect("a range is no error");
        assert_eq!((batches(&filling), filling.end), (vec![1, 2, 4], FillingEnd::Ranges));
        let full = || {
            let full =
                DeviceError::OutOfMemory { name: "abacus".to_owned(), asked_bytes: 3, free_bytes: 2, total_bytes: 4 };
            PipelineError::Generation(GenerationError::Tensor(EngineError::Device(full)))
        };
        assert_eq!(until(2, full).map(|filling| filling.end).ok(), Some(FillingEnd::Memory));
        assert!(until(0, full).is_err());
        let lost = || {
            let lost = DeviceError::Lost { name: "abacus".to_owned(), what: "a bead".to_owned() };
            PipelineError::Generation(GenerationError::Tensor(EngineError::Device(lost)))
        };
        assert!(until(2, lost).is_err());
        assert_eq!(until(usize::MAX, full).map(|filling| filling.end).ok(), Some(FillingEnd::Most));
    }
}
