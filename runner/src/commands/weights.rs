//! `egom2p weights`: weights that follow from a rule, and weights put together.

mod merge;
mod reproducible;

/// `egom2p weights`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(clap::Subcommand)]
enum Source {
    /// Values that follow from names and a seed, for tests and benchmarks
    Reproducible(reproducible::Args),
    /// One folder of the parts of several, stored in half the bytes if asked for
    ///
    /// Taken are the tensors that a stage of the model reads: what training keeps beside them is left out.
    Merge(merge::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.source {
        Source::Reproducible(args) => reproducible::run(args),
        Source::Merge(args) => merge::run(args),
    }
}
