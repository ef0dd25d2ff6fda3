//! NVIDIA's run-time compiler for CUDA C++, which needs neither a toolkit nor a GPU.

use std::path::PathBuf;

use anyhow::Result;

use super::{
    component::{Component, Library, Licence},
    folder,
    wheel::{Member, Wheel},
};
use crate::workspace::Workspace;

/// The compiler.
pub(crate) const COMPONENT: Component = Component {
    wheel: Wheel {
        title: "NVRTC",
        project: "nvidia-cuda-nvrtc",
        version: "13.0.88",
        python: "py3-none",
        platforms: "manylinux2010_x86_64.manylinux_2_12_x86_64",
        sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
    },
    download_bytes: 90_215_200,
    licence: cuda_licence("nvidia_cuda_nvrtc-13.0.88.dist-info/licenses/License.txt"),
    libraries: &[
        Library {
            n_bytes: 109_338_064,
            member: Member {
                path: "nvidia/cu13/lib/libnvrtc.so.13",
                sha256: "a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11",
            },
        },
        Library {
            n_bytes: 4_380_616,
            member: Member {
                path: "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
                sha256: "91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2",
            },
        },
    ],
};

/// The licence of the CUDA toolkit, the same text in all of its wheels.
pub(super) const fn cuda_licence(path: &'static str) -> Licence {
    Licence {
        title: "End User License Agreement of the NVIDIA CUDA Toolkit",
        name: "NVIDIA-CUDA.txt",
        member: Member { path, sha256: "ad6f5853fba0ca0d159d0f58d49ae49830c2f8c93f7a92648b9ce90adb4c6ccd" },
    }
}

/// The folder of the library in `cache/`, fetched where it is missing or not whole.
pub(super) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.cache().join("nvrtc").join(COMPONENT.wheel.version);
    if !COMPONENT.is_whole(&target) {
        folder::replace(&target, |partial| COMPONENT.fetch(workspace, partial))?;
    }
    Ok(target)
}
