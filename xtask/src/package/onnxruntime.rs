//! ONNX Runtime in a package: its library and the texts that its licence wants beside it.

use std::{
    fs::{self, File},
    io::Read,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{manifest, partial::Partial};
use crate::{
    console::{failure, say},
    process,
    workspace::Workspace,
};

/// The version that is packaged, the one that set-up fetches.
pub(super) const VERSION: &str = "1.31.1";

/// A text of the wheel.
pub(super) struct Notice {
    /// Its name in `LICENSES/`.
    pub(super) name: &'static str,
    member: &'static str,
    sha256: &'static str,
}

/// What is redistributed with the library.
pub(super) const NOTICES: [Notice; 2] = [
    Notice {
        name: "ONNX-Runtime.txt",
        member: "onnxruntime/LICENSE",
        sha256: "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
    },
    Notice {
        name: "ONNX-Runtime-third-parties.txt",
        member: "onnxruntime/ThirdPartyNotices.txt",
        sha256: "143764b952fdb1a7c69ce653bfba74a7744d6a8a573bfb73e235fba356c83de3",
    },
];

/// The library that set-up put into `cache/`.
pub(super) fn library(workspace: &Workspace) -> PathBuf {
    workspace.cache().join("onnxruntime").join(VERSION).join(format!("libonnxruntime.so.{VERSION}"))
}

/// The folder in `cache/` with the notices by their names, fetched where they are missing or not the pinned ones.
pub(super) fn notices(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.cache().join("onnxruntime").join(format!("{VERSION}-notices"));
    let is_pinned = |notice: &Notice| {
        fs::read(folder.join(notice.name))
            .is_ok_and(|text| manifest::hexadecimal(&Sha256::digest(text)) == notice.sha256)
    };
    if NOTICES.iter().all(is_pinned) {
        return Ok(folder);
    }
    say(format_args!("fetching the licences of ONNX Runtime {VERSION}"));
    let partial = Partial::begin(&folder)?;
    let wheel = download(&partial)?;
    let broken = || format!("the licences of ONNX Runtime cannot be taken out of {}\ntry again", wheel.display());
    let mut archive = zip::ZipArchive::new(File::open(&wheel).with_context(broken)?).with_context(broken)?;
    for notice in &NOTICES {
        let mut text = Vec::new();
        archive.by_name(notice.member).with_context(broken)?.read_to_end(&mut text).with_context(broken)?;
        let found = manifest::hexadecimal(&Sha256::digest(&text));
        if found != notice.sha256 {
            return Err(failure(
                format_args!(
                    "{} is not the pinned file: expected SHA-256 {}, got {found}",
                    notice.member, notice.sha256
                ),
                "check which package index pip uses, and try again",
            ));
        }
        fs::write(partial.path().join(notice.name), text).with_context(broken)?;
    }
    fs::remove_file(&wheel).with_context(broken)?;
    partial.finish()?;
    Ok(folder)
}

/// Downloads the wheel; the texts are the same in those of every Python and processor.
fn download(partial: &Partial) -> Result<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:", "--implementation", "cp"])
        .args(["--python-version", "3.11", "--abi", "cp311", "--platform", "manylinux_2_28_x86_64", "--dest"])
        .arg(partial.path())
        .arg(format!("onnxruntime=={VERSION}"));
    process::run(&mut pip).map_err(|error| {
        error.context("ONNX Runtime's licences cannot be downloaded\ncheck that pip runs, the network and its index")
    })?;
    let wheels = fs::read_dir(partial.path()).context("the download cannot be read\ntry again")?;
    let mut wheels = wheels.filter_map(|entry| Some(entry.ok()?.path()));
    wheels.next().ok_or_else(|| failure("pip downloaded no wheel of ONNX Runtime", "try again"))
}

#[cfg(test)]
mod tests {
    use super::VERSION;

    #[test]
    fn the_version_is_the_one_that_set_up_fetches() {
        assert!(include_str!("../setup/onnxruntime.rs").contains(&format!("VERSION: &str = \"{VERSION}\"")));
    }
}
