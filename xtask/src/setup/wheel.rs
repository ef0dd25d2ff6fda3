//! Native libraries in the wheels that their makers publish for Python.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::digest;
use crate::{console::failure, process};

/// A wheel of a package index, pinned by its content.
pub(crate) struct Wheel {
    /// What it holds, for people.
    pub(crate) title: &'static str,
    /// Its name in the index.
    pub(crate) project: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// The Python and ABI that it is for, as its file name says: `py3-none` or `cp311-cp311`.
    pub(crate) python: &'static str,
    /// The platforms that it is for, as its file name says, the one to ask pip for last.
    pub(crate) platforms: &'static str,
    /// SHA-256 of the file.
    pub(crate) sha256: &'static str,
}

/// A file or a folder inside of a wheel, pinned by its content.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    /// Its path inside of the wheel.
    pub(crate) path: &'a str,
    /// SHA-256 of the file, or over the names and contents of the folder's files, sorted by name.
    pub(crate) sha256: &'a str,
}

impl Wheel {
    /// Downloads the wheel through pip, which knows the user's index and proxies; the same file whatever Python runs it.
    pub(super) fn download(&self, folder: &Path) -> Result<PathBuf> {
        let title = self.title;
        if !process::succeeds(Command::new("python3").args(["-m", "pip", "--version"])) {
            return Err(failure(
                format_args!("{title} is fetched with pip, and \"python3 -m pip\" does not run"),
                "run \"apt-get install python3-pip\" as root",
            ));
        }
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--no-input"])
            .args(["--disable-pip-version-check", "--only-binary", ":all:", "--implementation", "cp"])
            .args(["--python-version", "3.11", "--abi", "cp311", "--platform", self.platform(), "--dest"])
            .arg(folder)
            .arg(format!("{}=={}", self.project, self.version));
        process::run(&mut pip).map_err(|error| {
            error.context(format!("{title} cannot be downloaded\ncheck the network and the package index of pip"))
        })?;
        let wheel = folder.join(self.file_name());
        let found = digest::of_file(&wheel)?;
        if found != self.sha256 {
            remove(&wheel)?;
            return Err(failure(
                format_args!(
                    "the download {} is not the pinned file: expected SHA-256 {}, got {found}",
                    wheel.display(),
                    self.sha256
                ),
                "check which package index pip uses, and try again",
            ));
        }
        Ok(wheel)
    }

    /// The platform to ask pip for.
    pub(crate) fn platform(&self) -> &str {
        self.platforms.rsplit('.').next().unwrap_or(self.platforms)
    }

    /// The name of the file in the index.
    pub(crate) fn file_name(&self) -> String {
        let project = self.project.replace('-', "_");
        format!("{project}-{}-{}-{}.whl", self.version, self.python, self.platforms)
    }
}

/// Takes one file out of a wheel, beside its place first.
pub(super) fn extract(wheel: &Path, member: &Member<'_>, to: &Path) -> Result<()> {
    let Member { path, sha256 } = member;
    let broken = || format!("{path} cannot be taken out of {}\nremove the file and try again", wheel.display());
    let mut archive = zip::ZipArchive::new(File::open(wheel).with_context(broken)?).with_context(broken)?;
    let mut source = archive.by_name(path).with_context(broken)?;
    let partial = to.with_extension("partial");
    let mut target = File::create(&partial).with_context(broken)?;
    io::copy(&mut source, &mut target).with_context(broken)?;
    target.sync_all().with_context(broken)?;
    let found = digest::of_file(&partial)?;
    if found != *sha256 {
        return Err(failure(
            format_args!("{path} is not the pinned file: expected SHA-256 {sha256}, got {found}"),
            "try again",
        ));
    }
    fs::rename(&partial, to).with_context(broken)
}

/// Takes a folder of small files out of a wheel, after checking all of them.
pub(super) fn extract_folder(wheel: &Path, member: &Member<'_>, to: &Path) -> Result<()> {
    let Member { path, sha256 } = member;
    let broken = || format!("{path} cannot be taken out of {}\nremove the file and try again", wheel.display());
    let mut archive = zip::ZipArchive::new(File::open(wheel).with_context(broken)?).with_context(broken)?;
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut source = archive.by_index(index).with_context(broken)?;
        let name = source.name().with_context(broken)?.into_owned();
        let name = name.strip_prefix(path).and_then(|name| name.strip_prefix('/')).unwrap_or_default();
        if !name.is_empty() && source.is_file() {
            let mut content = Vec::new();
            source.read_to_end(&mut content).with_context(broken)?;
            files.insert(name.to_owned(), content);
        }
    }
    let found = digest::of_list(files.iter().map(|(name, content)| (name.as_str(), content.as_slice())));
    if found != *sha256 {
        return Err(failure(
            format_args!("{path} does not hold the pinned files: expected SHA-256 {sha256}, got {found}"),
            "try again",
        ));
    }
    files.iter().try_for_each(|(name, content)| {
        let file = to.join(name);
        fs::create_dir_all(file.parent().unwrap_or(to)).and_then(|()| fs::write(&file, content)).with_context(broken)
    })
}

/// Removes a wheel that is no longer needed.
pub(super) fn remove(wheel: &Path) -> Result<()> {
    fs::remove_file(wheel).with_context(|| format!("{} cannot be removed\nremove it by hand", wheel.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, io::Write};

    use super::{Member, Wheel, digest, extract, extract_folder};

    #[test]
    fn a_file_is_named_as_the_index_names_it() {
        let wheel = Wheel {
            title: "a library",
            project: "a-library",
            version: "1.2",
            python: "py3-none",
            platforms: "manylinux2010_x86_64.manylinux_2_12_x86_64",
            sha256: "",
        };
        assert_eq!(wheel.file_name(), "a_library-1.2-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl");
        assert_eq!(wheel.platform(), "manylinux_2_12_x86_64");
    }

    #[test]
    fn a_member_that_is_not_the_pinned_file_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let wheel = folder.path().join("a.whl");
        let mut archive = zip::ZipWriter::new(File::create(&wheel).expect("the folder is writable"));
        archive.start_file("lib.so", zip::write::SimpleFileOptions::default()).expect("the archive is open");
        archive.write_all(b"abc").expect("the folder is writable");
        archive.finish().expect("the folder is writable");
        let library = folder.path().join("lib.so");
        let foreign = Member { path: "lib.so", sha256: "00" };
        let error = extract(&wheel, &foreign, &library).expect_err("the digest differs");
        assert!(error.to_string().contains("expected SHA-256 00, got ba7816bf"), "{error}");
        assert!(!library.exists());
        let pinned =
            Member { path: "lib.so", sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" };
        extract(&wheel, &pinned, &library).expect("the digest is right");
        assert_eq!(fs::read(&library).expect("the library is there"), b"abc");
    }
    #[test]
    fn a_folder_comes_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let wheel = root.path().join("a.whl");
        let mut archive = zip::ZipWriter::new(File::create(&wheel).expect("the folder is writable"));
        let options = zip::write::SimpleFileOptions::default();
        for (name, content) in [("include/c/b.h", "b"), ("include/a.h", "a"), ("includes/no.h", "no"), ("no.h", "no")] {
            archive.start_file(name, options).expect("the archive is open");
            archive.write_all(content.as_bytes()).expect("the folder is writable");
        }
        archive.add_directory("include/empty", options).expect("the archive is open");
        archive.finish().expect("the folder is writable");
        let target = root.path().join("include");
        let error =
            extract_folder(&wheel, &Member { path: "include", sha256: "00" }, &target).expect_err("another digest");
        assert!(error.to_string().contains("expected SHA-256 00, got "), "{error}");
        assert!(!target.exists());
        let pinned = digest::of_list([("a.h", &b"a"[..]), ("c/b.h", b"b")]);
        extract_folder(&wheel, &Member { path: "include", sha256: &pinned }, &target).expect("the digest is right");
        assert_eq!(fs::read(target.join("c/b.h")).expect("the header is there"), b"b");
        assert_eq!(fs::read_dir(&target).expect("the folder is readable").count(), 2);
    }
}
