//! What goes into a package, and how it is put together.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    copy,
    glibc::{self, Needs},
    manifest,
    partial::Partial,
    readme::Facts,
};
use crate::{console::failure, process, setup::onnxruntime};

const NVIDIA: &str = include_str!("get-nvidia-libraries.sh");
/// Modification times of the bundle's files, which copies do not have.
const STAMPS: &str = "stamps.json";

/// What goes into a package.
pub(super) struct Contents {
    /// The program `egom2p`.
    pub(super) program: PathBuf,
    /// The program `egom2p-video`.
    pub(super) video: Option<PathBuf>,
    /// ONNX Runtime's library.
    pub(super) library: PathBuf,
    /// Files for `LICENSES/`, by their names.
    pub(super) licences: Vec<PathBuf>,
    /// The licences of the Rust crates.
    pub(super) crates: String,
    /// The bundle.
    pub(super) bundle: Option<PathBuf>,
    /// Whether the program has the `TensorRT` backend.
    pub(super) tensorrt: bool,
}

impl Contents {
    /// Puts everything together beside `place`; the folder appears there once it is whole and checked.
    pub(super) fn pack(&self, place: &Path) -> Result<()> {
        let partial = Partial::begin(place)?;
        let folder = partial.path();
        let [bin, licences] = ["bin", "LICENSES"].map(|name| folder.join(name));
        for made in [&bin, &licences] {
            fs::create_dir(made).with_context(|| format!("{} cannot be made\ncheck its disk", made.display()))?;
        }
        let into = |folder: &Path, file: &Path| {
            let copied = folder.join(file.file_name().unwrap_or_default());
            copy::file(file, &copied).map(|()| copied)
        };
        let [program, library] = [&self.program, &self.library].map(|file| into(&bin, file));
        let [program, library] = [program?, library?];
        let video = self.video.as_deref().map(|file| into(&bin, file)).transpose()?;
        self.licences.iter().try_for_each(|file| into(&licences, file).map(drop))?;
        copy::text(self.crates.as_bytes(), &licences.join("Rust-crates.txt"))?;

        let needs = glibc::check(&[program.clone(), library], glibc::LIMIT)?;
        let video = video.map(|video| glibc::check(&[video], glibc::LIMIT)).transpose()?;
        if let Some(bundle) = &self.bundle {
            copy::folder(bundle, &folder.join("bundle"), &[STAMPS])?;
            verify_bundle(&program, folder)?;
        }
        if self.tensorrt {
            copy::text(NVIDIA.as_bytes(), &folder.join("get-nvidia-libraries.sh"))?;
        }
        copy::text(self.readme(&program, &needs, video.as_ref())?.as_bytes(), &folder.join("README.txt"))?;
        manifest::write(folder)?;
        partial.finish()
    }

    fn readme(&self, program: &Path, needs: &Needs, video: Option<&Needs>) -> Result<String> {
        let version = process::output(Command::new(program).arg("--version"))?;
        let facts = Facts {
            program: String::from_utf8_lossy(&version.stdout).trim(),
            needs,
            video,
            bundle: self.bundle.is_some(),
            tensorrt: self.tensorrt,
        }
        .text();
        Ok(facts)
    }
}

/// The packaged program reads the copied bundle and compares it with the digests that the bundle has of its files.
fn verify_bundle(program: &Path, folder: &Path) -> Result<()> {
    let mut inspect = Command::new(program);
    inspect.args(["inspect", "--digests", "bundle"]).current_dir(folder);
    let inspected = process::output(&mut inspect)?;
    if inspected.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&inspected.stderr).into_owned();
    let line = |begin: &str| said.lines().find_map(|line| Some(line.trim_start().strip_prefix(begin)?.to_owned()));
    let what = line("error: ").unwrap_or_else(|| format!("egom2p inspect failed ({})", inspected.status));
    let mend = line("help: ").unwrap_or_else(|| "build the bundle again".to_owned());
    Err(failure(format_args!("the bundle cannot be packaged: {what}"), mend))
}

/// Whether a folder is a package.
pub(super) fn is_package(folder: &Path) -> bool {
    folder.join(manifest::NAME).is_file() && folder.join("bin").join("egom2p").is_file()
}

/// The licences of this project and of ONNX Runtime.
pub(super) fn licence_files(root: &Path, notices: &Path) -> Vec<PathBuf> {
    let ours = ["LICENSE-APACHE", "LICENSE-MIT"].map(|name| root.join(name));
    ours.into_iter().chain(onnxruntime::NOTICES.iter().map(|notice| notices.join(notice.name))).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::NVIDIA;
    use crate::process;

    #[test]
    fn the_script_gets_the_files_that_set_up_gets() {
        let set_up = include_str!("../setup/tensorrt/rtx.rs");
        let values =
            NVIDIA.lines().filter_map(|line| line.split_once("='")).map(|(_, value)| value.trim_end_matches('\''));
        let pinned: Vec<_> = values.filter(|value| !value.contains("manylinux")).collect();
        assert_eq!(pinned.len(), 9, "{pinned:?}");
        assert!(pinned.iter().all(|value| set_up.contains(&format!("\"{value}\""))), "{pinned:?}");
        assert_eq!(set_up.matches("sha256: \"").count(), 4);
    }

    #[test]
    fn the_script_explains_and_refuses_in_one_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = folder.path().join("get-nvidia-libraries.sh");
        fs::write(&script, NVIDIA).expect("the folder is writable");
        let run = |words: &[&str]| {
            let mut command = Command::new("sh");
            let output = process::output(command.arg(&script).args(words)).expect("every Linux has a shell");
            assert_eq!(fs::read_dir(folder.path()).expect("it is readable").count(), 1, "{words:?} leaves nothing");
            (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let (explained, text) = run(&[]);
        assert!(
            explained
                && text.contains("NVIDIA Software License Agreement")
                && text.contains("/bin/libtensorrt_rtx.so.1")
        );
        let foreign = script.to_string_lossy();
        for (words, expected) in [
            (&["--accept-licence", "--wheel", &*foreign][..], "expected SHA-256"),
            (&["--accept-licence", "--wheel", "/nowhere"], "/nowhere is no file"),
            (&["--accept-licence", "--wheel"], "--wheel needs a file"),
            (&["--yes"], "unknown option --yes"),
        ] {
            let (installed, said) = run(words);
            assert!(!installed && said.contains(expected) && said.lines().count() == 1, "{words:?}: {said}");
        }
    }
}
