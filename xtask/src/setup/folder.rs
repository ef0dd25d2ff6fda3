//! Folders that appear whole or not at all.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use anyhow::{Context, Result};

/// Fills a new folder and puts it in the place of whatever is there, also of a link, whose target stays as it is.
///
/// The folder grows beside its place. What was there stays until the new one is whole; a stopped set-up leaves a folder
/// named `.partial` at most, which the next one removes.
pub(super) fn replace(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let unwritable = || format!("{} cannot be made\ncheck the permissions of its folder", folder.display());
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = folder.with_file_name(name);
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(unwritable)?;
    if let Err(error) = fill(&partial) {
        remove(&partial)?;
        return Err(error);
    }
    remove(folder)?;
    fs::rename(&partial, folder).with_context(unwritable)
}

/// Removes a folder with all that it holds, a file, or a link without what it points to; nothing where nothing is.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err::<(), io::Error>(error),
    };
    removed.with_context(|| format!("{} cannot be removed\nremove it by hand", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use anyhow::{Context, bail};

    use super::replace;

    fn fill(folder: &Path) -> anyhow::Result<()> {
        fs::write(folder.join("new"), "").context("the folder is writable")
    }

    #[test]
    fn a_failed_filling_leaves_what_was_there_and_nothing_else() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join("a-1.2");
        replace(&folder, fill).expect("the folder can be made");
        replace(&folder, |_| bail!("stopped")).expect_err("the filling failed");
        assert!(folder.join("new").is_file());
        assert_eq!(fs::read_dir(root.path()).expect("the folder is readable").count(), 1);
    }

    #[test]
    fn a_folder_takes_the_place_of_a_full_one_a_link_and_a_rest() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let [folder, target, rest] = ["a-1.2", "target", "a-1.2.partial"].map(|name| root.path().join(name));
        for old in [&target, &rest] {
            fs::create_dir(old).expect("the folder is writable");
            fs::write(old.join("old"), "").expect("the folder is writable");
        }
        symlink(&target, &folder).expect("the folder is writable");
        for _ in 0..2 {
            replace(&folder, fill).expect("the folder can be made");
            assert!(folder.join("new").is_file() && !folder.join("old").exists());
            assert!(!folder.is_symlink() && !rest.exists());
        }
        assert!(target.join("old").is_file(), "the target of the link is not touched");
    }
}
