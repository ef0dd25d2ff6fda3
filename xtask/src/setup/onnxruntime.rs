//! ONNX Runtime, from the wheel that its makers publish for Python.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

use super::{
    digest,
    wheel::{self, Member, Wheel},
};
use crate::{
    console::{failure, say},
    workspace::Workspace,
};

/// The version that the backend is made for.
const VERSION: &str = "1.31.1";

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

/// The library in `cache/`, fetched where it is missing or not the pinned one.
pub(super) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let pin = PINS.iter().find(|pin| pin.architecture == env::consts::ARCH).ok_or_else(|| {
        failure(
            format_args!("ONNX Runtime is not pinned for {}: expected x86_64 or aarch64", env::consts::ARCH),
            format_args!("install ONNX Runtime {VERSION} and set ORT_DYLIB_PATH to it"),
        )
    })?;
    let name = format!("libonnxruntime.so.{VERSION}");
    let folder = workspace.cache().join("onnxruntime").join(VERSION);
    let library = folder.join(&name);
    if library.is_file() && digest::of_file(&library)? == pin.library_sha256 {
        return Ok(library);
    }
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
    say(format_args!("fetching ONNX Runtime {VERSION}"));
    let wheel = Wheel {
        title: "ONNX Runtime",
        project: "onnxruntime",
        version: VERSION,
        python: "cp311-cp311",
        platforms: pin.platforms,
        sha256: pin.wheel_sha256,
    }
    .download(&workspace.downloads())?;
    let member = Member { path: &format!("onnxruntime/capi/{name}"), sha256: pin.library_sha256 };
    wheel::extract(&wheel, &member, &library)?;
    wheel::remove(&wheel)?;
    Ok(library)
}
