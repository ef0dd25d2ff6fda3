//! `TensorRT` for RTX, from the wheel that NVIDIA publishes for Python.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    console::say,
    setup::{
        folder,
        wheel::{self, Member, Wheel},
    },
    workspace::Workspace,
};

const WHEEL: Wheel = Wheel {
    title: "TensorRT for RTX",
    project: "tensorrt-rtx-cu13-libs",
    version: "1.7.1.116",
    python: "py3-none",
    platforms: "manylinux_2_28_x86_64",
    sha256: "e3fd45fed001240d63304e77a2d4006319b839994237cb294b6e7ad72acaabcd",
};

/// A file of the wheel that is kept.
struct Kept {
    /// Its name in `cache/`.
    name: &'static str,
    n_bytes: u64,
    member: Member<'static>,
}

const KEPT: [Kept; 3] = [
    Kept {
        name: "libtensorrt_rtx.so.1",
        n_bytes: 234_013_248,
        member: Member {
            path: "tensorrt_rtx_libs/libtensorrt_rtx.so.1",
            sha256: "a74fa3974f1892b65a53b06a14ffcb15758ac51c12135ada84490f53f67e1051",
        },
    },
    Kept {
        name: "libtensorrt_onnxparser_rtx.so.1",
        n_bytes: 4_097_984,
        member: Member {
            path: "tensorrt_rtx_libs/libtensorrt_onnxparser_rtx.so.1",
            sha256: "27be1f67ef28683b54390b6cbc7ec3efc75b39c8ebc4c683cb8603bcfd0b8896",
        },
    },
    Kept {
        name: "LICENSE.txt",
        n_bytes: 46_961,
        member: Member {
            path: "tensorrt_rtx_cu13_libs-1.7.1.116.dist-info/licenses/LICENSE.txt",
            sha256: "64bd290f0251405f783ba1d2e155c500542be69795e51147a1d9f11a57bda8cc",
        },
    },
];

/// The folder of the library in `cache/`, fetched where it is missing or not whole.
pub(in crate::setup) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.cache().join("tensorrt").join(format!("rtx-{}", WHEEL.version));
    if !is_whole(&target) {
        say(format_args!("fetching TensorRT for RTX {}: 95 MB to download, 238 MB when unpacked", WHEEL.version));
        say(format_args!(
            "  licence: NVIDIA Software License Agreement for TensorRT ({}), not to be redistributed",
            target.join("LICENSE.txt").display()
        ));
        let file = WHEEL.download(&workspace.downloads())?;
        folder::replace(&target, |partial| {
            KEPT.iter().try_for_each(|kept| wheel::extract(&file, &kept.member, &partial.join(kept.name)))
        })?;
        wheel::remove(&file)?;
    }
    Ok(target)
}

/// Whether every file has its size. Digests are checked when the files are fetched, before the folder gets its name:
/// reading them takes longer than finding that no engine needs to be built.
fn is_whole(folder: &Path) -> bool {
    KEPT.iter().all(|kept| {
        fs::metadata(folder.join(kept.name)).is_ok_and(|found| found.is_file() && found.len() == kept.n_bytes)
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{KEPT, is_whole};

    #[test]
    fn a_missing_or_shortened_file_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for kept in &KEPT {
            assert!(!is_whole(folder.path()), "{} is missing", kept.name);
            let file = File::create(folder.path().join(kept.name)).expect("the folder is writable");
            file.set_len(kept.n_bytes - 1).expect("the folder is writable");
            assert!(!is_whole(folder.path()), "{} is too short", kept.name);
            file.set_len(kept.n_bytes).expect("the folder is writable");
        }
        assert!(is_whole(folder.path()));
    }
}
