//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{console::failure, setup::libtorch};

/// Whether `TensorRT` for RTX is published as a package for this machine.
pub(crate) const HAS_TENSORRT_RTX: bool = cfg!(all(target_arch = "x86_64", target_os = "linux"));

/// The features that are tested everywhere.
const FOR_ALL: &str =
    "egom2p/cuda,egom2p/host-kernels,egom2p-device/cuda,egom2p-device/host-kernels,egom2p-kernels/host";

/// Whether libtorch is pinned for this machine.
pub(crate) const HAS_LIBTORCH: bool = cfg!(all(target_arch = "x86_64", target_os = "linux"));

/// Packages that link libtorch.
const NEED_LIBTORCH: [&str; 3] = ["egom2p-torch", "egom2p-torch-native", "egom2p-train"];

/// The project's folder.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that `cargo xtask` was called in.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = manifest.as_deref().and_then(Path::parent).filter(|root| root.join("Cargo.lock").is_file());
        root.map(|root| Self { root: root.to_owned() }).ok_or_else(|| {
            failure("xtask does not know its workspace", "start it as \"cargo xtask\" in the project's folder")
        })
    }

    /// The project's folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where downloads and results are kept.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Where downloads are until they are unpacked.
    pub(crate) fn downloads(&self) -> PathBuf {
        self.cache().join("downloads")
    }

    /// A cargo command in the workspace, which knows where this architecture's OpenCV is and keeps its output inside
    /// the project's folder.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", self.target());
        let triplet = format!("{}-linux-gnu", env::consts::ARCH);
        if env::consts::ARCH != "x86_64" && env::var_os("OPENCV_LINK_PATHS").is_none() {
            cargo.env("OPENCV_LINK_PATHS", format!("/usr/lib/{triplet}"));
            cargo.env("OPENCV_INCLUDE_PATHS", format!("/usr/include/opencv4,/usr/include/{triplet}/opencv4"));
        }
        cargo
    }

    /// A cargo command over every package with everything for NVIDIA GPUs that can be tested on a machine without one: the
    /// kernels also for the processor, and the `TensorRT` backend where tests can build engines with it. Without a
    /// libtorch, the packages that link it are left out.
    pub(crate) fn cargo_for_all(&self, subcommand: &[&str], options: &[&str]) -> Command {
        let mut cargo = self.cargo(subcommand);
        cargo.args(["--workspace", "--features", FOR_ALL]);
        let libtorch = libtorch::folder(self);
        if libtorch.is_dir() {
            cargo.env("LIBTORCH", libtorch);
        } else {
            cargo.args(NEED_LIBTORCH.iter().flat_map(|package| ["--exclude", package]));
        }
        if HAS_TENSORRT_RTX {
            cargo.args(["--features", "egom2p/tensorrt,egom2p-tests/tensorrt"]);
        }
        cargo.args(options);
        cargo
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }
}
