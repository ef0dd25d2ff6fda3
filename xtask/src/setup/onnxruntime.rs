//! ONNX Runtime, from the wheel that its makers publish for Python.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

use super::{
    digest, folder,
    wheel::{self, Member, Wheel},
};
use crate::{
    console::{failure, say},
    workspace::Workspace,
};

/// The version that the backend is made for, and that is packaged.
pub(crate) const VERSION: &str = "1.31.1";

/// What is fetched for one architecture.
struct Pin {
    architecture: &'static str,
    platforms: &'static str,
    wheel_sha256: &'static str,
    library_sha256: &'static str,
}

const PINS: [Pin; 2] = [
    Pin {
        architecture: "x86_64",
        platforms: "manylinux_2_28_x86_64",
        wheel_sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Pin {
        architecture: "aarch64",
        platforms: "manylinux_2_28_aarch64",
        wheel_sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
];

/// A text that the licence wants beside the library wherever it is passed on.
pub(crate) struct Notice {
    /// Its name in `LICENSES/` of a package.
    pub(crate) name: &'static str,
    /// Where it is in the wheel.
    pub(super) member: Member<'static>,
}

/// The texts, which are the same in the wheels of every processor.
pub(crate) const NOTICES: [Notice; 2] = [
    Notice {
        name: "ONNX-Runtime.txt",
        member: Member {
            path: "onnxruntime/LICENSE",
            sha256: "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
        },
    },
    Notice {
        name: "ONNX-Runtime-third-parties.txt",
        member: Member {
            path: "onnxruntime/ThirdPartyNotices.txt",
            sha256: "143764b952fdb1a7c69ce653bfba74a7744d6a8a573bfb73e235fba356c83de3",
        },
    },
];

/// Where the library is in `cache/`.
pub(crate) fn library(workspace: &Workspace) -> PathBuf {
    workspace.cache().join("onnxruntime").join(VERSION).join(library_name())
}

/// The folder in `cache/` with the texts by their names, fetched where they are missing or not the pinned ones.
pub(crate) fn notices(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.cache().join("onnxruntime").join(format!("{VERSION}-notices"));
    let is_pinned =
        |notice: &Notice| digest::of_file(&target.join(notice.name)).is_ok_and(|found| found == notice.member.sha256);
    if NOTICES.iter().all(is_pinned) {
        return Ok(target);
    }
    say(format_args!("fetching the licences of ONNX Runtime {VERSION}"));
    let file = wheel(pin()?).download(&workspace.downloads())?;
    folder::replace(&target, |partial| {
        NOTICES.iter().try_for_each(|notice| wheel::extract(&file, &notice.member, &partial.join(notice.name)))
    })?;
    wheel::remove(&file)?;
    Ok(target)
}

/// The library in `cache/`, fetched where it is missing or not the pinned one.
pub(super) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let pin = pin()?;
    let library = library(workspace);
    if library.is_file() && digest::of_file(&library)? == pin.library_sha256 {
        return Ok(library);
    }
    let folder = library.parent().expect("a file in cache/");
    fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
    say(format_args!("fetching ONNX Runtime {VERSION}"));
    let file = wheel(pin).download(&workspace.downloads())?;
    let member = Member { path: &format!("onnxruntime/capi/{}", library_name()), sha256: pin.library_sha256 };
    wheel::extract(&file, &member, &library)?;
    wheel::remove(&file)?;
    Ok(library)
}

fn pin() -> Result<&'static Pin> {
    PINS.iter().find(|pin| pin.architecture == env::consts::ARCH).ok_or_else(|| {
        failure(
            format_args!("ONNX Runtime is not pinned for {}: expected x86_64 or aarch64", env::consts::ARCH),
            format_args!("install ONNX Runtime {VERSION} and set ORT_DYLIB_PATH to it"),
        )
    })
}

fn wheel(pin: &Pin) -> Wheel {
    Wheel {
        title: "ONNX Runtime",
        project: "onnxruntime",
        version: VERSION,
        python: "cp311-cp311",
        platforms: pin.platforms,
        sha256: pin.wheel_sha256,
    }
}

/// The name of the library's file.
pub(super) fn library_name() -> String {
    format!("libonnxruntime.so.{VERSION}")
}
