//! NVIDIA's run-time compiler for CUDA C++, which needs neither a toolkit nor a GPU.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{
    folder,
    wheel::{self, Member, Wheel},
};
use crate::{console::say, workspace::Workspace};

const WHEEL: Wheel = Wheel {
    title: "NVRTC",
    project: "nvidia-cuda-nvrtc",
    version: "13.0.88",
    python: "py3-none",
    platforms: "manylinux2010_x86_64.manylinux_2_12_x86_64",
    sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
};

/// The files that are kept, with their sizes in bytes.
const KEPT: [(&str, u64, Member<'static>); 2] = [
    (
        "libnvrtc.so.13",
        109_338_064,
        Member {
            path: "nvidia/cu13/lib/libnvrtc.so.13",
            sha256: "a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11",
        },
    ),
    (
        "libnvrtc-builtins.so.13.0",
        4_380_616,
        Member {
            path: "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
            sha256: "91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2",
        },
    ),
];

/// The folder of the library in `cache/`, fetched where it is missing or not whole.
pub(super) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.cache().join("nvrtc").join(WHEEL.version);
    if !is_whole(&target) {
        say(format_args!("fetching NVRTC {}: 90 MB to download, 114 MB when unpacked", WHEEL.version));
        say("  licence: NVIDIA Software License Agreement, not to be redistributed by this project");
        let file = WHEEL.download(&workspace.downloads())?;
        folder::replace(&target, |partial| {
            KEPT.iter().try_for_each(|(name, _, member)| wheel::extract(&file, member, &partial.join(name)))
        })?;
        wheel::remove(&file)?;
    }
    Ok(target)
}

/// Whether every file has its size; digests are checked before the folder gets its name.
fn is_whole(folder: &Path) -> bool {
    KEPT.iter().all(|(name, n_bytes, _)| {
        fs::metadata(folder.join(name)).is_ok_and(|found| found.is_file() && found.len() == *n_bytes)
    })
}
