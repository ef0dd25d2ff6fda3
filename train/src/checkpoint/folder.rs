use super::{CheckpointError, Result};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// What follows the name of a checkpoint that is being written.
const PARTIAL_SUFFIX: &str = ".partial";
/// What follows the name of a checkpoint that is being removed.
const REMOVED_SUFFIX: &str = ".removed";

/// The checkpoints of a folder with their steps, oldest first; none where there is no folder. Only names are looked at.
pub fn checkpoints(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found: Vec<_> =
        entries(folder)?.into_iter().filter_map(|(name, path)| Some((step_of(&name)?, path))).collect();
    found.sort_unstable();
    Ok(found)
}

/// What an interrupted write or removal left in a folder of checkpoints. The next [`save`](super::save) clears it away.
pub fn interrupted(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_left = |name: &str| {
        let stem = name.strip_suffix(PARTIAL_SUFFIX).or_else(|| name.strip_suffix(REMOVED_SUFFIX));
        stem.and_then(step_of).is_some()
    };
    let mut found: Vec<_> =
        entries(folder)?.into_iter().filter(|(name, _)| is_left(name)).map(|(_, path)| path).collect();
    found.sort_unstable();
    Ok(found)
}

/// Removes all checkpoints but the last `keep`, and never the last one.
pub(super) fn remove_all_but(folder: &Path, keep: usize) -> Result<()> {
    let mut found = checkpoints(folder)?;
    found.truncate(found.len().saturating_sub(keep.max(1)));
    for (_, path) in found {
        let failed = |source| CheckpointError::Remove { path: path.clone(), source };
        let removed = with_suffix(&path, REMOVED_SUFFIX);
        fs::rename(&path, &removed).map_err(failed)?;
        fs::remove_dir_all(&removed).map_err(failed)?;
    }
    Ok(())
}

/// The unfinished checkpoint, which does not outlive this value.
#[derive(Debug)]
pub(super) struct PartialFolder {
    folder: PathBuf,
    partial: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl PartialFolder {
    /// Begins the checkpoint of a step, which must be later than all others of the folder.
    pub(super) fn create(folder: &Path, step: u64) -> Result<Self> {
        fs::create_dir_all(folder).map_err(CheckpointError::write(folder))?;
        if let Some(&(newest, _)) = checkpoints(folder)?.last()
            && newest >= step
        {
            return Err(CheckpointError::NotNewest { folder: folder.to_owned(), newest, step });
        }
        for path in interrupted(folder)? {
            fs::remove_dir_all(&path).map_err(CheckpointError::write(&path))?;
        }
        let path = folder.join(format!("step-{step:08}"));
        let partial = with_suffix(&path, PARTIAL_SUFFIX);
        fs::create_dir(&partial).map_err(CheckpointError::write(&partial))?;
        Ok(Self { folder: folder.to_owned(), partial, path, renamed: false })
    }

    /// Where the files go.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Gives the folder its name once its entries are on the disk; its files are synced already.
    pub(super) fn put_in_place(mut self) -> Result<PathBuf> {
        let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
        sync(&self.partial).map_err(CheckpointError::write(&self.partial))?;
        fs::rename(&self.partial, &self.path).map_err(CheckpointError::write(&self.path))?;
        self.renamed = true;
        sync(&self.folder).map_err(CheckpointError::write(&self.folder))?;
        Ok(self.path.clone())
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        if !self.renamed {
            // There is no one left to tell when this fails, and the name says that the folder is unfinished.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let list = || -> io::Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            found.extend(entry.file_name().into_string().ok().map(|name| (name, entry.path())));
        }
        Ok(found)
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(CheckpointError::read(folder)),
    }
}

/// The step of a folder's name, written as this release writes it.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (format!("step-{step:08}") == name).then_some(step)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::step_of;

    #[test]
    fn only_names_of_this_form_are_steps() {
        assert_eq!(step_of("step-00000012"), Some(12));
        assert_eq!(step_of("step-123456789"), Some(123_456_789));
        let others = ["step-12", "step-+0000012", "step-012345678", "step-00000012.partial", "step-", "best", ""];
        assert!(others.iter().all(|name| step_of(name).is_none()));
    }
}
