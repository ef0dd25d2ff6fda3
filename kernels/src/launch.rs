//! How the kernels are launched.

/// Threads of a block: the sampler is written for this many.
const N_THREADS: u32 = 512;
/// Values that a thread of the guidance kernel takes, until the grid is full.
const VALUES_PER_THREAD: u64 = 4;
/// Blocks past this wait for others in any case; the kernels stride over what is left.
const MAX_BLOCKS: u64 = 4096;

/// A kernel and the shape of its launch, one-dimensional.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Launch {
    /// The name of the kernel in the compiled module.
    pub entry: &'static str,
    /// Number of blocks; with 0 there is nothing to launch.
    pub grid: u32,
    /// Threads per block.
    pub block: u32,
    /// Dynamic shared memory per block, in bytes, beside the static part that the compiled kernel declares.
    pub shared_bytes: u32,
}

impl Launch {
    /// `egom2p_guide(mixed, conditional, unconditional: *f32 [n_values], weight: f32, n_values: u64)`; `mixed` may be
    /// either input.
    pub fn guide(n_values: u64) -> Self {
        Self::striding("egom2p_guide", n_values, VALUES_PER_THREAD)
    }

    /// `egom2p_sample(outcomes: *i64 [n_rows], logits: *f32 [n_rows, n_vocabulary], arguments: SampleArguments)`;
    /// `None` for more rows than a grid has blocks (2^31 - 1).
    pub fn sample(n_rows: usize) -> Option<Self> {
        let grid = i32::try_from(n_rows).ok()?.unsigned_abs();
        Some(Self { entry: "egom2p_sample", grid, block: N_THREADS, shared_bytes: 0 })
    }

    /// `egom2p_gather(gathered: *i64 [n_indices], table: *i64 [n_table], n_table: u64, indices: *i64 [n_indices],
    /// n_indices: u64)`
    pub fn gather(n_indices: u64) -> Self {
        Self::striding("egom2p_gather", n_indices, 1)
    }

    /// `egom2p_scatter(table: *i64 [n_table], n_table: u64, indices: *i64 [n_indices], values: *i64 [n_indices],
    /// n_indices: u64)`
    pub fn scatter(n_indices: u64) -> Self {
        Self::striding("egom2p_scatter", n_indices, 1)
    }

    /// A launch whose threads stride over the elements.
    fn striding(entry: &'static str, n_elements: u64, elements_per_thread: u64) -> Self {
        let n_blocks = n_elements.div_ceil(u64::from(N_THREADS) * elements_per_thread).min(MAX_BLOCKS);
        Self { entry, grid: n_blocks as u32, block: N_THREADS, shared_bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Launch;

    #[test]
    fn grids_cover_their_work() {
        assert_eq!(Launch::guide(0).grid, 0);
        assert_eq!(Launch::guide(2049).grid, 2);
        assert_eq!(Launch::guide(u64::MAX).grid, 4096);
        assert_eq!(Launch::gather(0).grid, 0);
        assert_eq!(Launch::gather(513).grid, 2);
        assert_eq!(Launch::scatter(512).grid, 1);
        assert_eq!(Launch::scatter(u64::MAX).grid, 4096);
        assert_eq!(Launch::sample(1707).map(|launch| launch.grid), Some(1707));
        assert_eq!(Launch::sample(1 << 31), None);
    }
}
