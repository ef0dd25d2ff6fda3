//! Ctrl-C: commands end where what they made can be gone on with.

use crate::console;
use anyhow::Context as _;
use std::{
    process,
    sync::atomic::{AtomicBool, Ordering},
};

/// The conventional exit status of a program that Ctrl-C ended.
pub(super) const STATUS: u8 = 130;

static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C and termination ask the command to end. Who asks twice does not wait: what is unfinished then carries a
/// name that says so, and the next run clears it away.
pub(super) fn watch() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if IS_ASKED.swap(true, Ordering::Relaxed) {
            process::exit(STATUS.into());
        }
        console::note("interrupted: ending where this can be gone on with; once more to end at once");
    })
    .context("cannot watch for Ctrl-C")
}

/// Whether the command is to end.
pub(super) fn is_asked() -> bool {
    IS_ASKED.load(Ordering::Relaxed)
}
