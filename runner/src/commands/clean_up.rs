//! `egom2p clean-up`: what an interrupted command becomes. Not for people.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use egom2p::io::partial::{self, Unfinished};

use crate::console;

/// The conventional exit status of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// `egom2p clean-up`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file or folder that has not taken its place
    #[arg(long, value_name = "PATH")]
    partial: Vec<PathBuf>,
    /// A folder that was written into
    #[arg(long, value_name = "FOLDER", requires = "manifest")]
    watched: Vec<PathBuf>,
    /// The file that is written last into the folder before it
    #[arg(long, value_name = "NAME")]
    manifest: Vec<String>,
    /// A folder that was made
    #[arg(long, value_name = "FOLDER")]
    made: Vec<PathBuf>,
}

/// Makes Ctrl-C and termination remove whatever is half-written before the process ends.
///
/// The process starts its own program anew in its place. That ends all other threads at once, so that none writes on while
/// files are removed, and no native library is unloaded under a thread that runs in it.
pub(crate) fn on_interrupt() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        let unfinished = partial::halt();
        IS_INTERRUPTED.store(true, Ordering::Relaxed);
        console::note("interrupted: removing what is half-written");
        let program = std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into());
        // This returns only where the program cannot be started.
        let _ = Command::new(program).arg("clean-up").args(arguments(&unfinished)).exec();
        unfinished.remove();
        process::exit(INTERRUPTED);
    })
    .context("cannot watch for Ctrl-C")
}

/// Whether the process is about to end, so that there is no use in going on.
pub(crate) fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // An impatient second Ctrl-C changes nothing.
    ctrlc::set_handler(|| {}).context("cannot watch for Ctrl-C")?;
    let unfinished = Unfinished {
        partials: args.partial.iter().cloned().collect(),
        watched: args.watched.iter().cloned().zip(args.manifest.iter().cloned()).collect(),
        made: args.made.iter().cloned().collect(),
    };
    unfinished.remove();
    process::exit(INTERRUPTED);
}

fn arguments(unfinished: &Unfinished) -> Vec<OsString> {
    let Unfinished { partials, watched, made } = unfinished;
    let named = |name: &str, path: &PathBuf| [name.into(), path.into()];
    let mut arguments: Vec<OsString> = partials.iter().flat_map(|path| named("--partial", path)).collect();
    arguments.extend(made.iter().flat_map(|path| named("--made", path)));
    for (folder, manifest) in watched {
        arguments.extend(named("--watched", folder));
        arguments.extend(["--manifest".into(), manifest.into()]);
    }
    arguments
}
