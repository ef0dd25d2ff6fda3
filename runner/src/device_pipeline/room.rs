use egom2p_device::{ComputeDevice, DeviceError};
use egom2p_engine_core::EngineError;

use super::{DevicePipelineMemory, device_loop::LoopJob, opened::OpenedEngines, tensors::LoopTensors};

/// A device without the memory that a pipeline, or one more of them, needs. All sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRoomError {
    /// The weights alone are too much.
    #[error(
        "{device} has {free_bytes} bytes of memory free of {total_bytes} after {weights_bytes} of weights, and more weights are to come: even one clip does not fit\nuse engines of half precision, or a device with more memory"
    )]
    Weights {
        /// The device.
        device: String,
        /// Loaded so far.
        weights_bytes: u64,
        /// What is free beside them.
        free_bytes: u64,
        /// All that the device has.
        total_bytes: u64,
        /// What the device said.
        cause: DeviceError,
    },
    /// Weights are loaded, and what a batch takes beside them does not fit.
    #[error(
        "{device} has {free_bytes} bytes of memory free of {total_bytes} after {weights_bytes} of weights, expected {scratch_bytes} of scratch and {tensors_bytes} of tensors for {} decoded together: {}\nuse {}engines of half precision, or a device with more memory",
        n_clips(*batch),
        fitting.map_or_else(|| "even one clip does not fit".to_owned(), |n| format!("{} would fit", n_clips(n))),
        fitting.map(|n| format!("--batch {n}, ")).unwrap_or_default()
    )]
    Batch {
        /// The device.
        device: String,
        /// What is loaded.
        weights_bytes: u64,
        /// What the sessions take turns in using.
        scratch_bytes: u64,
        /// Tensors between stages, and the schedule.
        tensors_bytes: u64,
        /// Clips that were to be decoded together.
        batch: usize,
        /// The most clips that fit, if any do.
        fitting: Option<usize>,
        /// What is free beside the weights.
        free_bytes: u64,
        /// All that the device has.
        total_bytes: u64,
        /// What the device said.
        cause: DeviceError,
    },
    /// Fewer pipelines fit beside each other than were asked for.
    #[error(
        "{device} has room for {fitting} of {asked} streams: each takes {stream_bytes} bytes beside what they share, and {free_bytes} are free of {total_bytes}\nuse --streams {fitting}, or a smaller --batch"
    )]
    Streams {
        /// The device.
        device: String,
        /// Pipelines that fit, at least 1.
        fitting: usize,
        /// Pipelines that were asked for.
        asked: usize,
        /// Tensors and scratch of one of them.
        stream_bytes: u64,
        /// What is free beside those that fit.
        free_bytes: u64,
        /// All that the device has.
        total_bytes: u64,
        /// What the device said.
        cause: DeviceError,
    },
}

impl DeviceRoomError {
    /// What the device said: [`DeviceError::OutOfMemory`].
    pub fn cause(&self) -> &DeviceError {
        match self {
            Self::Weights { cause, .. } | Self::Batch { cause, .. } | Self::Streams { cause, .. } => cause,
        }
    }

    /// Why the weights cannot be loaded, where that is the device's memory. `before_bytes` were free at first, and
    /// `free_bytes` when the last session failed.
    pub(super) fn weights(error: &EngineError, before_bytes: u64, device: &dyn ComputeDevice) -> Option<Self> {
        let EngineError::Device(cause @ DeviceError::OutOfMemory { free_bytes, total_bytes, .. }) = error else {
            return None;
        };
        Some(Self::Weights {
            device: device.facts().name.clone(),
            weights_bytes: before_bytes.saturating_sub(*free_bytes),
            free_bytes: *free_bytes,
            total_bytes: *total_bytes,
            cause: cause.clone(),
        })
    }

    /// Why a full batch does not fit beside weights and scratch, and how many clips do. `before_bytes` were free before
    /// the weights came, and `free_bytes` are now.
    pub(super) fn batch(
        (job, engines, with_clips): (&LoopJob, &OpenedEngines, bool),
        memory: DevicePipelineMemory,
        (before_bytes, free_bytes): (u64, u64),
        (device, cause): (&dyn ComputeDevice, &DeviceError),
    ) -> Option<Self> {
        let DeviceError::OutOfMemory { total_bytes, .. } = cause else { return None };
        let room_bytes = free_bytes.saturating_sub(memory.scratch_bytes);
        let fits = |batch: usize| {
            let smaller = LoopJob::new(&job.config, &job.settings, &job.plan, batch, engines);
            smaller.is_ok_and(|smaller| {
                let sizes = (batch, with_clips);
                LoopTensors::n_bytes(&smaller.config, &smaller.settings, &smaller.schedule, sizes) <= room_bytes
            })
        };
        Some(Self::Batch {
            device: device.facts().name.clone(),
            weights_bytes: before_bytes.saturating_sub(free_bytes),
            scratch_bytes: memory.scratch_bytes,
            tensors_bytes: memory.tensors_bytes,
            batch: job.batch,
            fitting: largest(job.batch, fits),
            free_bytes,
            total_bytes: *total_bytes,
            cause: cause.clone(),
        })
    }
}

/// The largest number below `end`, from 1 on, that fits, where smaller ones fit too.
fn largest(end: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut fitting, mut too_large) = (0, end);
    while too_large - fitting > 1 {
        let middle = fitting + (too_large - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            too_large = middle;
        }
    }
    (fitting > 0).then_some(fitting)
}

fn n_clips(n: usize) -> String {
    if n == 1 { "1 clip".to_owned() } else { format!("{n} clips") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_batch_that_fits_is_found() {
        for end in 1..40 {
            for limit in 0..40 {
                let expected = limit.min(end - 1);
                assert_eq!(largest(end, |n| n <= limit), (expected > 0).then_some(expected), "{end} {limit}");
            }
        }
    }
}
