//! Files and folders that are still being written, known to the whole process so that neither a failure nor an interrupt
//! leaves anything half-written.
//!
//! Whatever is unfinished is called `.partial-PROCESS-NAME`, in every crate that writes. What a process that was killed
//! has left is removed by the next one that writes the same output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::FileError;

const PREFIX: &str = ".partial-";

static REGISTRY: Mutex<Unfinished> = Mutex::new(Unfinished::new());

/// What this process is writing now.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Unfinished {
    /// Files and folders that have not taken their place.
    pub partials: BTreeSet<PathBuf>,
    /// Folders that other crates write into, with the name of the file that they write last.
    pub watched: BTreeMap<PathBuf, String>,
    /// Folders that this process made, or is about to.
    pub made: BTreeSet<PathBuf>,
}

/// A path that is removed when this is dropped, unless it was renamed to its place.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
}

/// What is unfinished now; nothing is begun or finished while the result lives.
pub fn halt() -> MutexGuard<'static, Unfinished> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names a folder that another crate is going to write into, which may not exist yet, and the file that comes last: what
/// a killed process left there is removed now, and [`Unfinished::remove`] will remove what this one leaves. Fails where
/// something else is in its place.
pub fn watch(folder: &Path, manifest: &str) -> Result<(), FileError> {
    let folder = std::path::absolute(folder).map_err(FileError::write(folder))?;
    match fs::metadata(&folder) {
        Ok(metadata) if !metadata.is_dir() => return Err(FileError::NotAFolder { path: folder }),
        Ok(_) => sweep(&folder, is_left_over),
        Err(_) => remember_missing(&folder),
    }
    halt().watched.insert(folder, manifest.to_owned());
    Ok(())
}

/// Creates a folder with its parents, and remembers which of them are new.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    remember_missing(folder);
    fs::create_dir_all(folder)
}

impl Unfinished {
    /// Removes it, with the folders that were made and have nothing else in them; for a process that has the same number
    /// as the one that was writing. What cannot be removed stays.
    pub fn remove(&self) {
        self.partials.iter().for_each(|path| remove(path));
        for (folder, manifest) in &self.watched {
            if self.made.contains(folder) && !folder.join(manifest).exists() {
                remove(folder);
            } else {
                sweep(folder, is_own);
            }
        }
        // The deepest come last in this order, and only empty folders can be removed.
        for folder in self.made.iter().rev() {
            _ = fs::remove_dir(folder);
        }
    }

    const fn new() -> Self {
        Self { partials: BTreeSet::new(), watched: BTreeMap::new(), made: BTreeSet::new() }
    }
}

impl Partial {
    /// A hidden name beside `destination`, not yet created.
    pub(super) fn beside(destination: &Path) -> io::Result<Self> {
        let name = destination.file_name().ok_or_else(|| io::Error::other("the path has no last name"))?;
        let name = name.to_string_lossy();
        let folder = destination.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sweep(folder, |entry| is_left_over(entry) && entry.name == name);
        Ok(Self::new(folder, &name))
    }

    /// A hidden name inside a folder, not yet created.
    pub(super) fn inside(folder: &Path) -> Self {
        sweep(folder, is_left_over);
        Self::new(folder, "output")
    }

    fn new(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{PREFIX}{}-{name}", process::id()));
        if halt().partials.insert(path.clone()) {
            // An earlier process of the same number may have been killed.
            remove(&path);
        }
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames to `destination`, which it replaces.
    pub(super) fn rename(self, destination: &Path) -> io::Result<()> {
        let halt = halt();
        let renamed = fs::rename(&self.path, destination);
        drop(halt);
        renamed
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        remove(&self.path);
        halt().partials.remove(&self.path);
    }
}

/// The parts of an unfinished entry's name.
struct Entry<'a> {
    /// The process that wrote it, where the name tells.
    process: Option<u32>,
    /// What it was going to be, with the process before it where that is no number.
    name: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(file_name: &'a str) -> Option<Self> {
        let rest = file_name.strip_prefix(PREFIX)?;
        let parts = rest.split_once('-').and_then(|(process, name)| Some((process.parse().ok()?, name)));
        Some(match parts {
            Some((process, name)) => Self { process: Some(process), name },
            None => Self { process: None, name: rest },
        })
    }
}

/// Whether a process that no longer runs left it. Where the system does not list processes, none is taken for dead.
fn is_left_over(entry: &Entry<'_>) -> bool {
    let runs = |process: u32| Path::new("/proc").join(process.to_string()).exists();
    runs(process::id()) && entry.process.is_some_and(|process| !runs(process))
}

/// Whether this process wrote it, or an engine's builder, which writes no number and has the folder to itself.
fn is_own(entry: &Entry<'_>) -> bool {
    entry.process.is_none_or(|process| process == process::id())
}

fn sweep(folder: &Path, is_swept: impl Fn(&Entry<'_>) -> bool) {
    for found in fs::read_dir(folder).into_iter().flatten().flatten() {
        if Entry::parse(&found.file_name().to_string_lossy()).is_some_and(|entry| is_swept(&entry)) {
            remove(&found.path());
        }
    }
}

fn remember_missing(folder: &Path) {
    let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    halt().made.extend(missing.map(Path::to_owned));
}

/// Best effort: there is nobody to tell when this fails.
fn remove(path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    _ = if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{halt, watch};

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The number of a process that has ended.
    fn ended() -> u32 {
        let mut child = std::process::Command::new("true").spawn().expect("true is everywhere");
        child.wait().expect("it ends");
        child.id()
    }

    #[test]
    fn leftovers_of_ended_processes_go_and_those_of_others_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = format!(".partial-{}-model.weights", ended());
        let of_another = ".partial-1-model.weights";
        for name in [&*old, of_another, ".partial-build", "model.weights"] {
            fs::write(folder.path().join(name), "half").expect("room");
        }
        watch(folder.path(), "export.json").expect("a folder");
        assert_eq!(names(folder.path()), [of_another, ".partial-build", "model.weights"]);
    }

    #[test]
    fn a_failure_removes_what_it_began_and_the_folders_that_it_made() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = outer.path().join("new").join("bundle");
        watch(&folder, "bundle.json").expect("nothing is in the way");
        fs::create_dir_all(&folder).expect("room");
        for name in [format!(".partial-{}-model.weights", std::process::id()), ".partial-build".to_owned()] {
            fs::write(folder.join(name), "half").expect("room");
        }
        fs::write(folder.join("encoder.onnx"), "whole").expect("room");
        halt().remove();
        assert!(names(outer.path()).is_empty());
    }

    #[test]
    fn a_folder_with_its_manifest_stays() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = outer.path().join("bundle");
        watch(&folder, "bundle.json").expect("nothing is in the way");
        fs::create_dir_all(&folder).expect("room");
        fs::write(folder.join("bundle.json"), "{}").expect("room");
        fs::write(folder.join(".partial-build"), "half").expect("room");
        halt().remove();
        assert_eq!(names(&folder), ["bundle.json"]);
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bundle");
        fs::write(&file, "").expect("room");
        assert!(watch(&file, "bundle.json").is_err());
    }
}
