//! Folders that appear whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::interrupt;

/// A folder that grows beside its place and is removed unless it is finished.
pub(super) struct Partial {
    path: PathBuf,
    place: PathBuf,
}

impl Partial {
    /// Begins an empty folder; a rest of one that was killed is removed.
    pub(super) fn begin(place: &Path) -> Result<Self> {
        let partial = Self { path: beside(place, "partial"), place: place.to_owned() };
        remove(&partial.path).and_then(|()| fs::create_dir_all(&partial.path)).with_context(|| {
            format!("{} cannot be made\ncheck the permissions of its folder", partial.path.display())
        })?;
        Ok(partial)
    }

    /// Where the folder grows.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder its name; what had the name until now is removed after that.
    pub(super) fn finish(self) -> Result<()> {
        interrupt::check()?;
        let replaced = beside(&self.place, "replaced");
        let moved = || -> io::Result<()> {
            remove(&replaced)?;
            if self.place.symlink_metadata().is_ok() {
                fs::rename(&self.place, &replaced)?;
            }
            fs::rename(&self.path, &self.place)?;
            remove(&replaced)
        };
        moved().with_context(|| format!("{} cannot be replaced\ncheck its permissions", self.place.display()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // There is nothing left after the folder was finished, and nobody to tell after an error that was told.
        let _ = remove(&self.path);
    }
}

/// A name beside a folder: `DIR.suffix`.
pub(super) fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    folder.with_file_name(name)
}

/// Removes a folder or file; nothing where nothing is.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Partial;

    #[test]
    fn a_folder_is_whole_or_as_it_was() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let place = root.path().join("package");
        for content in ["first", "second"] {
            let dropped = Partial::begin(&place).expect("the folder is writable");
            fs::write(dropped.path().join("file"), "never").expect("the folder is writable");
            drop(dropped);
            let partial = Partial::begin(&place).expect("the folder is writable");
            fs::write(partial.path().join("file"), content).expect("the folder is writable");
            partial.finish().expect("the folder is writable");
            assert_eq!(fs::read_to_string(place.join("file")).expect("it is there"), content);
            assert_eq!(fs::read_dir(root.path()).expect("the folder is readable").count(), 1);
        }
    }
}
