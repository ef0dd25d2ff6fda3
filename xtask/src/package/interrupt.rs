//! Ctrl-C: work stops between two chunks, so that what was begun is removed.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::console::failure;

static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on a signal to stop is only noted.
pub(super) fn install() -> Result<()> {
    ctrlc::set_handler(|| STOPPED.store(true, Ordering::Relaxed))
        .context("signals cannot be handled\nstart the command in a usual terminal")
}

/// An error once the user wants to stop.
pub(super) fn check() -> Result<()> {
    if STOPPED.load(Ordering::Relaxed) {
        return Err(failure("stopped before the package was whole", "start the command again"));
    }
    Ok(())
}
