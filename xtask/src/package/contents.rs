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
    nvidia::{self, Gpu},
    partial::Partial,
    readme::Facts,
};
use crate::{console::failure, process, setup::onnxruntime};

/// The script's name in a package.
pub(super) const GPU_CHECK_NAME: &str = "gpu-check.sh";
const GPU_CHECK: &str = include_str!("gpu-check.sh");
/// Modification times of the bundle's files, which copies do not have.
const STAMPS: &str = "stamps.json";

/// What goes into a package.
pub(super) struct Contents {
    /// The program `egom2p`.
    pub(super) program: PathBuf,
    /// The program `egom2p-video`.
    pub(super) video: Option<PathBuf>,
    /// ONNX Runtime's libraries.
    pub(super) libraries: Vec<PathBuf>,
    /// Files for `LICENSES/`, by their names.
    pub(super) licences: Vec<PathBuf>,
    /// The licences of the Rust crates.
    pub(super) crates: String,
    /// The bundle.
    pub(super) bundle: Option<PathBuf>,
    /// What the program has for GPUs.
    pub(super) gpu: Gpu,
    /// What the processor computed, for `egom2p gpu-check`; only beside a bundle.
    pub(super) reference: Option<PathBuf>,
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
        let program = into(&bin, &self.program)?;
        let libraries = self.libraries.iter().map(|file| into(&bin, file)).collect::<Result<Vec<_>>>()?;
        let video = self.video.as_deref().map(|file| into(&bin, file)).transpose()?;
        self.licences.iter().try_for_each(|file| into(&licences, file).map(drop))?;
        copy::text(self.crates.as_bytes(), &licences.join("Rust-crates.txt"))?;

        let mut needs = glibc::check(&[vec![program.clone()], libraries].concat(), glibc::LIMIT)?;
        // The script gets those of NVIDIA; libcuda.so.1 comes with the driver.
        needs.libraries.retain(|library| !nvidia::is_of_nvidia(library));
        let video = video.map(|video| glibc::check(&[video], glibc::LIMIT)).transpose()?;
        if let Some(bundle) = &self.bundle {
            copy::folder(bundle, &folder.join("bundle"), &[STAMPS])?;
            verify_bundle(&program, folder)?;
        }
        if let Some(script) = self.gpu.script() {
            copy::text(script.as_bytes(), &folder.join(nvidia::SCRIPT_NAME))?;
        }
        if let Some(reference) = &self.reference {
            copy::folder(reference, &folder.join("reference"), &[])?;
            copy::text(GPU_CHECK.as_bytes(), &folder.join(GPU_CHECK_NAME))?;
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
            gpu: self.gpu,
            reference: self.reference.is_some(),
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
