//! `TensorRT` for RTX, from the wheel that NVIDIA publishes for Python.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    setup::{
        component::{Component, Library, Licence},
        folder,
        wheel::{Member, Wheel},
    },
    workspace::Workspace,
};

/// `TensorRT` for RTX and its parser of ONNX.
pub(crate) const COMPONENT: Component = Component {
    wheel: Wheel {
        title: "TensorRT for RTX",
        project: "tensorrt-rtx-cu13-libs",
        version: "1.7.1.116",
        python: "py3-none",
        platforms: "manylinux_2_28_x86_64",
        sha256: "e3fd45fed001240d63304e77a2d4006319b839994237cb294b6e7ad72acaabcd",
    },
    download_bytes: 95_153_708,
    licence: Licence {
        title: "NVIDIA Software License Agreement for TensorRT",
        name: "NVIDIA-TensorRT-RTX.txt",
        member: Member {
            path: "tensorrt_rtx_cu13_libs-1.7.1.116.dist-info/licenses/LICENSE.txt",
            sha256: "64bd290f0251405f783ba1d2e155c500542be69795e51147a1d9f11a57bda8cc",
        },
    },
    libraries: &[
        Library {
            n_bytes: 234_013_248,
            member: Member {
                path: "tensorrt_rtx_libs/libtensorrt_rtx.so.1",
                sha256: "a74fa3974f1892b65a53b06a14ffcb15758ac51c12135ada84490f53f67e1051",
            },
        },
        Library {
            n_bytes: 4_097_984,
            member: Member {
                path: "tensorrt_rtx_libs/libtensorrt_onnxparser_rtx.so.1",
                sha256: "27be1f67ef28683b54390b6cbc7ec3efc75b39c8ebc4c683cb8603bcfd0b8896",
            },
        },
    ],
};

/// The folder of the library in `cache/`, fetched where it is missing or not whole.
pub(in crate::setup) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.cache().join("tensorrt").join(format!("rtx-{}", COMPONENT.wheel.version));
    if !COMPONENT.is_whole(&target) {
        folder::replace(&target, |partial| COMPONENT.fetch(workspace, partial))?;
    }
    Ok(target)
}
