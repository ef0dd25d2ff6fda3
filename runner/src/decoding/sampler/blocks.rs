use crate::decoding::DecodingError;

/// Logits per block. Blocks whose maximum misses a threshold are skipped without reading them again.
const BLOCK: usize = u32::BITS as usize;
const N_LANES: usize = 8;

/// The maxima of a row of logits, block by block.
#[derive(Default, Debug)]
pub(super) struct BlockMaxima {
    maxima: Vec<f32>,
    max: f32,
}

/// A logit with its place in the row and its weight e^(logit - max).
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) logit: f32,
    pub(super) weight: f32,
    pub(super) token: u32,
}

impl BlockMaxima {
    /// Reads a row once. Fails where it contains NaN or infinity, or nothing above negative infinity.
    pub(super) fn scan(&mut self, logits: &[f32], row: usize) -> Result<(), DecodingError> {
        self.maxima.clear();
        let mut nan = [0_u32; N_LANES];
        let (blocks, rest) = logits.as_chunks::<BLOCK>();
        self.maxima.extend(blocks.iter().map(|block| block_maximum(block, &mut nan)));
        if !rest.is_empty() {
            self.maxima.push(block_maximum(&padded(rest), &mut nan));
        }
        self.max = self.maxima.iter().fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
        if nan != [0; N_LANES] {
            Err(DecodingError::NanLogit { row })
        } else if self.max == f32::INFINITY {
            Err(DecodingError::InfiniteLogit { row })
        } else if self.max == f32::NEG_INFINITY {
            Err(DecodingError::NoFiniteLogit { row })
        } else {
            Ok(())
        }
    }

    /// The largest logit of the row.
    pub(super) fn max(&self) -> f32 {
        self.max
    }

    /// Where the row has its largest logit first.
    pub(super) fn arg_max(&self, logits: &[f32]) -> usize {
        let mut blocks = self.maxima.iter().zip(logits.chunks(BLOCK)).enumerate();
        let block = blocks.find(|(_, (maximum, _))| **maximum >= self.max);
        block.map_or(0, |(i, (_, block))| i * BLOCK + block.iter().take_while(|&&logit| logit < self.max).count())
    }

    /// Whether few enough blocks reach `threshold` that reading those is cheaper than another pass over the row.
    pub(super) fn few_reach(&self, threshold: f32) -> bool {
        let n_reaching = self.maxima.iter().filter(|&&maximum| maximum >= threshold).count();
        n_reaching * 16 <= self.maxima.len().max(64)
    }

    /// The `n`-th largest block maximum, counted from 1: a lower bound of the n-th largest logit.
    /// Negative infinity where there are fewer blocks.
    pub(super) fn nth_maximum(&self, n: usize) -> f32 {
        if n > self.maxima.len() {
            return f32::NEG_INFINITY;
        }
        let mut maxima = self.maxima.clone();
        *maxima.select_nth_unstable_by(n - 1, |a, b| b.total_cmp(a)).1
    }

    /// Replaces `candidates` by the logits that reach `threshold` and are above negative infinity, in the order of the
    /// row and without weights.
    pub(super) fn collect(&self, logits: &[f32], threshold: f32, candidates: &mut Vec<Candidate>) {
        let threshold = threshold.max(f32::MIN);
        candidates.clear();
        let (blocks, rest) = logits.as_chunks::<BLOCK>();
        let last = padded(rest);
        for (i, &maximum) in self.maxima.iter().enumerate() {
            if maximum >= threshold {
                let block = blocks.get(i).unwrap_or(&last);
                let mut reaching = which_reach(block, threshold);
                while reaching != 0 {
                    let j = reaching.trailing_zeros() as usize;
                    reaching &= reaching - 1;
                    candidates.push(Candidate { logit: block[j], weight: 0.0, token: (i * BLOCK + j) as u32 });
                }
            }
        }
    }
}

/// A bit per logit of the block that reaches `threshold`: candidates are few, so a branch per logit would cost more.
fn which_reach(block: &[f32; BLOCK], threshold: f32) -> u32 {
    block.iter().enumerate().fold(0, |bits, (j, &logit)| bits | u32::from(logit >= threshold) << j)
}

fn padded(logits: &[f32]) -> [f32; BLOCK] {
    let mut block = [f32::NEG_INFINITY; BLOCK];
    block[..logits.len()].copy_from_slice(logits);
    block
}

/// The largest of a block, lane by lane and then by halves, as vector instructions do it; lanes of `nan` become nonzero
/// where the block has NaN.
fn block_maximum(block: &[f32; BLOCK], nan: &mut [u32; N_LANES]) -> f32 {
    let mut maxima = [f32::NEG_INFINITY; N_LANES];
    for group in block.as_chunks::<N_LANES>().0 {
        for lane in 0..N_LANES {
            maxima[lane] = larger(maxima[lane], group[lane]);
            nan[lane] |= if group[lane].is_nan() { u32::MAX } else { 0 };
        }
    }
    let mut n = N_LANES / 2;
    while n > 0 {
        for lane in 0..n {
            maxima[lane] = larger(maxima[lane], maxima[lane + n]);
        }
        n /= 2;
    }
    maxima[0]
}

fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}
