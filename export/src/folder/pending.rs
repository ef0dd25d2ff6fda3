use std::{
    fs,
    path::{Path, PathBuf},
};

use egom2p_engine_core::RelativePath;

use crate::ExportError;

/// Files that stand beside their places until all of them are complete. What is not published is removed.
pub(super) struct Pending<'a> {
    folder: &'a Path,
    names: Vec<RelativePath>,
}

impl<'a> Pending<'a> {
    /// Nothing yet.
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, names: Vec::new() }
    }

    /// Where to write the file `name` for now.
    pub(super) fn add(&mut self, name: &RelativePath) -> PathBuf {
        self.names.push(name.clone());
        self.beside(name)
    }

    /// Writes the whole file `name`.
    pub(super) fn write(&mut self, name: &RelativePath, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.add(name);
        fs::write(&path, bytes).map_err(ExportError::io("write", path))
    }

    /// Moves every file to its place, in the order in which they were added.
    pub(super) fn publish(mut self) -> Result<(), ExportError> {
        for name in std::mem::take(&mut self.names) {
            let path = name.below(self.folder);
            fs::rename(self.beside(&name), &path).map_err(ExportError::io("rename", path))?;
        }
        Ok(())
    }

    fn beside(&self, name: &RelativePath) -> PathBuf {
        self.folder.join(format!(".partial-{}-{name}", std::process::id()))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            // A file that was never begun is as good as removed, and the error at hand says more than one from here.
            let _ = fs::remove_file(self.beside(name));
        }
    }
}
