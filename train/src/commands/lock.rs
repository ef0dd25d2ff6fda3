use anyhow::Context as _;
use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

/// A folder that no other process writes into while this value lives. The system gives it back when a process ends,
/// however it ends.
pub(super) struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Makes the folder where it is missing, and fails where another process holds it.
    pub(super) fn hold(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let unwritable = || format!("cannot write into {shown}\nchoose a folder that may be written to");
        fs::create_dir_all(path).with_context(unwritable)?;
        let folder = File::open(path).with_context(unwritable)?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("another process writes into {shown}\nwait until it ends, or choose another folder")
            }
            locked => locked.with_context(unwritable)?,
        }
        Ok(Self { _folder: folder })
    }
}
