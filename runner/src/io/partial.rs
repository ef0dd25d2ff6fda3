//! Files and folders that are still being written, known to the whole process so that an interrupt can remove them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static PARTIALS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static N_NAMED: AtomicU64 = AtomicU64::new(0);

/// A path that is removed when this is dropped, unless it was renamed to its place.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
}

/// Removes everything that is still being written. For the handler of an interrupt, just before the process ends; what
/// cannot be removed stays.
pub fn remove_all() {
    for path in std::mem::take(&mut *registry()) {
        remove(&path);
    }
}

impl Partial {
    /// A hidden name beside `destination`, not yet created.
    pub(super) fn beside(destination: &Path) -> io::Result<Self> {
        let name = destination.file_name().ok_or_else(|| io::Error::other("the path has no last name"))?;
        let n = N_NAMED.fetch_add(1, Ordering::Relaxed);
        let suffix = if n == 0 { String::new() } else { format!("-{n}") };
        let hidden = format!(".{}.partial-{}{suffix}", name.to_string_lossy(), process::id());
        let path = destination.with_file_name(hidden);
        registry().insert(path.clone());
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames to `destination`, which it replaces.
    pub(super) fn rename(self, destination: &Path) -> io::Result<()> {
        fs::rename(&self.path, destination)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        remove(&self.path);
        registry().remove(&self.path);
    }
}

fn registry() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PARTIALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Best effort: there is nobody to tell when this fails.
fn remove(path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    _ = if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}
