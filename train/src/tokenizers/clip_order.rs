use super::rows::drawn;
use super::{Result, TokenizerError, TokenizerSettings};
use crate::random::Random;

/// Which clips a step takes. It follows from the seed and the step alone, so that nothing has to be stored to resume.
///
/// Every epoch has an order of its own; the clips behind its last full batch are left out. The ranks' parts of a batch stand
/// one behind the other in the batch that one process would take.
#[derive(Clone, Debug)]
pub struct ClipOrder {
    n_clips: usize,
    batch: usize,
    seed: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl ClipOrder {
    /// The order of this many clips.
    pub fn new(n_clips: usize, settings: &TokenizerSettings) -> Result<Self> {
        settings.schedule(n_clips)?;
        Ok(Self { n_clips, batch: settings.batch, seed: settings.seed, epoch: None })
    }

    /// The clips of a step, counted from 0, that rank `rank` of `n_ranks` takes. The batch is a multiple of the ranks.
    pub fn batch(&mut self, step: u64, rank: usize, n_ranks: usize) -> Result<&[usize]> {
        if n_ranks == 0 || !self.batch.is_multiple_of(n_ranks) || rank >= n_ranks {
            let (value, expected) = (self.batch.to_string(), format!("a multiple of the {n_ranks} ranks"));
            return Err(TokenizerError::Setting { name: "batch", value, expected });
        }
        let steps = (self.n_clips / self.batch) as u64;
        let (epoch, place) = (step / steps, (step % steps) as usize);
        let order = match self.epoch.take() {
            Some((stored, order)) if stored == epoch => order,
            _ => drawn(self.n_clips, self.n_clips, &mut Random::new(self.seed, "clip order", epoch)),
        };
        let (_, order) = self.epoch.insert((epoch, order));
        let share = self.batch / n_ranks;
        let start = place * self.batch + rank * share;
        Ok(&order[start..start + share])
    }
}
