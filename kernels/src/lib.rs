//! CUDA sources for decoding on the device: guidance on hidden states, the draw of a token per row of logits, and
//! tokens gathered from and scattered to their places.
//!
//! [`Kernels::ptx`] is what a driver loads; [`Launch`] says how its entries are launched. It is compiled from
//! [`Kernels::source`], one text that includes nothing, by NVRTC with [`Kernels::OPTIONS`] (`ptx/README.md`). No CUDA
//! toolkit takes part. The algorithms are written in phases of a block of threads
//! (`cuda/block.cuh`), so that the feature `host` can compile the same text as C++17 and run it thread after thread.
//!
//! # The draw
//! A block of 512 threads draws one row. Nothing is sorted:
//!
//! 1. **Maximum**, first of equals; NaN, infinity and rows without a finite logit become [`Outcome`]s. Temperature 0
//!    ends here.
//! 2. **Candidates**. The sampler's fp32 exponential is zero 87 and less below its maximum, so only logits within about
//!    88 temperatures of the maximum can win: within 0.88 at the published temperature of 0.01, a handful of 64000. With
//!    top-k the candidates are instead what reaches the k-th largest logit, found by its digits (below).
//! 3. **Nucleus**. An entry survives while the mass before it, by descending logit and then ascending token, is at most
//!    top-p of the whole. One reading gives the whole and the mass of the candidates; most often that shows that all of
//!    them survive. Otherwise the edge is found digit by digit, as a radix sort would, with the mass and the number of
//!    entries per value of the digit: 4 digits of 8 bits for the logit and 3 for the token, which orders ties. It ends as
//!    soon as one entry is left.
//! 4. **Race**. The survivor with the largest ratio of probability to noise. The noise is a multiplicative stream, of
//!    which any element is reached by modular powers, so only survivors cost a draw.
//!
//! # Why the tokens are those of the CPU
//! - Exponential, uniform value, ratio and order are the CPU's operations in the CPU's order, each rounded once. The
//!   logarithm of the noise is made of exactly rounded operations alone; rounded to fp32 it equals the CPU's for every
//!   uniform value that there is (a test compares all of them). So given the survivors, the winner is the CPU's.
//! - The edge of the nucleus is a comparison of sums, and the CPU adds in orders of its own (chunks of 64 in fp32, then
//!   fp64 in the order of its selection). The CPU's sums are off by at most ten fp32 roundings each, three of which
//!   meet in a comparison: less than 2^-19 of the whole. The kernel therefore finds two edges, one that holds and one
//!   that is possible with that error. Where the winner is beyond the first, it is the winner for any order of
//!   addition; else the row is [`Outcome::Undecided`], and the caller draws it with the sampler on the CPU. The winner
//!   falls in between with a probability of a few millionths.
//! - Where all weights are multiples of 2^-18, as in constant rows, every sum is exact in any order and the two edges
//!   are one.
//!
//! # Memory traffic
//! The floor is one reading of the logits, `4 n_rows n_vocabulary` bytes; what comes after the first reading finds a row
//! of 64000 (256 KB) in the second-level cache.
//!
//! | settings | readings of a row |
//! |---|---|
//! | temperature 0 | 1 |
//! | temperature alone | 2 |
//! | temperature and top-p, all candidates survive | 2, and a third by the threads that have a candidate |
//! | temperature and top-p, an edge to find | up to 7 more, twice that where rounding may decide |
//! | top-k | up to 4 more than without |
//!
//! Guidance reads both passes once and writes once: 12 bytes per value.

mod launch;
mod sample;

#[cfg(feature = "host")]
pub mod host;

pub use launch::Launch;
pub use sample::{MAX_VOCABULARY, Outcome, SampleArguments};

/// The kernels as text.
#[derive(Clone, Copy, Debug)]
pub struct Kernels;

impl Kernels {
    /// What NVRTC needs besides `--gpu-architecture=compute_NN`: products must not be fused with sums, and divisions and
    /// denormal numbers are those of IEEE, or tokens differ from the CPU's.
    pub const OPTIONS: &'static [&'static str] =
        &["--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"];

    /// The entries of the compiled module.
    pub const ENTRIES: &'static [&'static str] = &["egom2p_guide", "egom2p_sample", "egom2p_gather", "egom2p_scatter"];

    /// The oldest CUDA version, major and minor, whose driver reads [`Kernels::ptx`]: that of the compiler.
    pub const NEEDED_DRIVER: (u32, u32) = (13, 0);

    /// The lowest compute capability, major and minor, that [`Kernels::ptx`] is for. Drivers compile it for any
    /// newer GPU.
    pub const NEEDED_COMPUTE_CAPABILITY: (u32, u32) = (8, 0);

    /// One CUDA C++ source that includes nothing.
    pub const fn source() -> &'static str {
        concat!(
            include_str!("../cuda/block.cuh"),
            include_str!("../cuda/exponential.cuh"),
            include_str!("../cuda/noise.cuh"),
            include_str!("../cuda/guidance.cuh"),
            include_str!("../cuda/sampler.cuh"),
            include_str!("../cuda/tokens.cuh"),
            include_str!("../cuda/entries.cuh"),
        )
    }

    /// The source compiled to PTX, the portable assembly that a driver compiles for its GPU.
    pub const fn ptx() -> &'static str {
        include_str!("../ptx/egom2p.ptx")
    }
}

#[cfg(test)]
mod tests {
    use super::{Kernels, SampleArguments};

    #[test]
    fn the_stored_ptx_needs_what_is_said() {
        let (major, minor) = Kernels::NEEDED_COMPUTE_CAPABILITY;
        assert!(Kernels::ptx().contains(&format!(".target sm_{major}{minor}\n")));
        let (major, minor) = Kernels::NEEDED_DRIVER;
        assert!(Kernels::ptx().contains(&format!("release {major}.{minor},")));
        let found: Vec<&str> = Kernels::ptx()
            .lines()
            .filter_map(|line| line.strip_prefix(".visible .entry ")?.strip_suffix('('))
            .collect();
        assert_eq!(found, Kernels::ENTRIES);
        assert!(Kernels::ptx().contains(&format!("egom2p_sample_param_2[{}]", size_of::<SampleArguments>())));
    }
}
