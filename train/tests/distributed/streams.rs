//! The samples of a rank, which lack other modalities than those of the other rank.

use super::clips::Clips;
use egom2p_model::Modality;
use egom2p_train::data::{DataError, Sample, SampleStream};
use serde_json::Value;

/// A rank's share of the samples that one process would get: the samples of a step stand in the order of the ranks.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) clips: Clips,
    /// Samples of a step on all ranks.
    pub(crate) n_samples: u64,
    pub(crate) rank: u64,
    pub(crate) n_ranks: u64,
    pub(crate) given: u64,
}

impl Share {
    pub(crate) fn of(rank: usize, n_ranks: usize, n_samples: usize) -> Self {
        let clips = Clips::from(0);
        Self { clips, n_samples: n_samples as u64, rank: rank as u64, n_ranks: n_ranks as u64, given: 0 }
    }
}

impl SampleStream for Share {
    fn next_sample(&mut self) -> Result<Sample, DataError> {
        let share = self.n_samples / self.n_ranks;
        let (step, place) = (self.given / share, self.rank * share + self.given % share);
        self.given += 1;
        self.clips.next = step * self.n_samples + place;
        let mut sample = self.clips.next_sample()?;
        let lacking: &[Modality] = match place < self.n_samples / 2 {
            true => &[Modality::Gaze, Modality::Depth],
            // So few tokens that all of them are visible: the last pass of a step has no targets.
            false if step % 5 == 2 && place >= self.n_samples - 2 => &[Modality::Rgb, Modality::Depth, Modality::Gaze],
            false => &[Modality::Camera],
        };
        for modality in lacking {
            sample.tokens[modality.index()] = None;
        }
        Ok(sample)
    }

    fn position(&self) -> Value {
        self.given.into()
    }

    fn seek(&mut self, position: &Value) -> Result<(), DataError> {
        let given = position.as_u64();
        self.given = given.ok_or_else(|| DataError::Position { reason: "it is no number".to_owned() })?;
        Ok(())
    }
}
