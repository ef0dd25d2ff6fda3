use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Component, Path, PathBuf};

use super::FileError;
use super::atomic::write_whole;
use super::partial::{self, Partial};

/// The outputs of one job, collected in a hidden folder and moved to their destination together. The hidden folder is in
/// the destination where that exists, which may be a disk of its own, else beside it.
///
/// Dropping this without [`Self::commit`] removes everything that was written.
#[derive(Debug)]
pub struct OutputFolder {
    destination: PathBuf,
    partial: Partial,
}

impl OutputFolder {
    /// Prepares outputs for `destination`, which may exist. Fails at once where it, or its parent, cannot be written.
    pub fn new(destination: &Path) -> Result<Self, FileError> {
        let destination = std::path::absolute(destination).map_err(FileError::write(destination))?;
        let partial = match fs::metadata(&destination) {
            Ok(metadata) if !metadata.is_dir() => return Err(FileError::NotAFolder { path: destination }),
            Ok(_) => Partial::inside(&destination),
            Err(_) => {
                let parent = destination.parent().unwrap_or(&destination);
                partial::make_folder(parent).map_err(FileError::write(&destination))?;
                Partial::beside(&destination).map_err(FileError::write(&destination))?
            }
        };
        fs::create_dir(partial.path()).map_err(FileError::write(&destination))?;
        Ok(Self { destination, partial })
    }

    /// Where the outputs will be.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// The hidden folder, for writers that lay out a whole folder.
    pub fn staging(&self) -> &Path {
        self.partial.path()
    }

    /// Where to write the output `name` until the commit, for writers that need a path. The name may have folders, which
    /// are created, but stays inside the output folder.
    pub fn path(&self, name: &str) -> Result<PathBuf, FileError> {
        let relative = Path::new(name);
        let inside = relative.components().all(|component| matches!(component, Component::Normal(_)));
        if !inside || relative.file_name().is_none() {
            return Err(FileError::OutputName { name: name.to_owned() });
        }
        if let Some(parent) = relative.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let parent = self.partial.path().join(parent);
            fs::create_dir_all(&parent).map_err(FileError::write(&self.destination.join(name)))?;
        }
        Ok(self.partial.path().join(relative))
    }

    /// Writes the output `name`, which must be new.
    pub fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let path = self.path(name)?;
        write_whole(&path, write).map_err(FileError::write(&self.destination.join(name)))
    }

    /// Moves every output to the destination, file by file, replacing files of the same name: JSON, which describes the
    /// others, last. Returns their paths, ascending. An interrupt waits until all are there.
    pub fn commit(self) -> Result<Vec<PathBuf>, FileError> {
        let mut names = Vec::new();
        list(self.partial.path(), Path::new(""), &mut names).map_err(FileError::read(self.partial.path()))?;
        names.sort_by_key(|name| (name.extension().is_some_and(|extension| extension == "json"), name.clone()));
        let halt = partial::halt();
        fs::create_dir_all(&self.destination).map_err(FileError::write(&self.destination))?;
        let mut paths = Vec::with_capacity(names.len());
        for name in names {
            let path = self.destination.join(&name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(FileError::write(parent))?;
            }
            fs::rename(self.partial.path().join(&name), &path).map_err(FileError::write(&path))?;
            paths.push(path);
        }
        drop(halt);
        paths.sort();
        Ok(paths)
    }
}

fn list(folder: &Path, prefix: &Path, names: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = prefix.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write};

    use super::OutputFolder;
    use crate::io::FileError;

    #[test]
    fn outputs_appear_at_the_commit() {
        let folder = tempfile::tempdir().expect("a folder");
        let destination = folder.path().join("new").join("clip");
        let outputs = OutputFolder::new(&destination).expect("a writable folder");
        outputs.write("gaze.csv", |file| file.write_all(b"0,0,0")).expect("room");
        outputs.write("steps/0.json", |file| file.write_all(b"{}")).expect("room");
        fs::write(outputs.path("depth.mp4").expect("a name"), "film").expect("room");
        assert!(!destination.exists());
        let paths = outputs.commit().expect("a writable folder");
        assert_eq!(paths, ["depth.mp4", "gaze.csv", "steps/0.json"].map(|name| destination.join(name)));
        assert!(paths.iter().all(|path| path.is_file()));
        assert_eq!(fs::read_dir(folder.path().join("new")).expect("a folder").count(), 1);
    }

    #[test]
    fn other_files_stay_and_old_outputs_are_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("notes.txt"), "mine").expect("room");
        fs::write(folder.path().join("gaze.csv"), "old").expect("room");
        let outputs = OutputFolder::new(folder.path()).expect("a writable folder");
        outputs.write("gaze.csv", |file| file.write_all(b"new")).expect("room");
        outputs.commit().expect("a writable folder");
        assert_eq!(fs::read(folder.path().join("notes.txt")).expect("a file"), b"mine");
        assert_eq!(fs::read(folder.path().join("gaze.csv")).expect("a file"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[test]
    fn an_abandoned_job_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let outputs = OutputFolder::new(&folder.path().join("clip")).expect("a writable folder");
        let result = outputs.write("run.json", |_| Err(io::ErrorKind::StorageFull.into()));
        assert!(matches!(result, Err(FileError::Write { path, .. }) if path.ends_with("clip/run.json")));
        drop(outputs);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("clip");
        fs::write(&file, "").expect("room");
        assert!(matches!(OutputFolder::new(&file), Err(FileError::NotAFolder { .. })));
        assert!(OutputFolder::new(&file.join("deeper")).is_err());
    }

    #[test]
    fn names_stay_inside() {
        let folder = tempfile::tempdir().expect("a folder");
        let outputs = OutputFolder::new(folder.path()).expect("a writable folder");
        for name in ["", ".", "..", "../up", "/absolute", "a/../../b"] {
            assert!(matches!(outputs.path(name), Err(FileError::OutputName { .. })), "{name:?}");
        }
    }
}
