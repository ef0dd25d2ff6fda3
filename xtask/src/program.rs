//! The programs of this workspace.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{process, workspace::Workspace};

/// The `egom2p` and `egom2p-video` programs as users get them: the release profile.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds both; quick where nothing changed.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        Self::build_with(workspace, &[])
    }

    /// Builds both with support for NVIDIA GPUs, which needs nothing more.
    pub(crate) fn build_with_cuda(workspace: &Workspace) -> Result<Self> {
        Self::build_with(workspace, &["--features", "egom2p/cuda"])
    }

    /// Builds both with the `TensorRT` backend, which needs headers and a C++ compiler.
    pub(crate) fn build_with_tensorrt(workspace: &Workspace) -> Result<Self> {
        Self::build_with(workspace, &["--features", "egom2p/tensorrt"])
    }

    fn build_with(workspace: &Workspace, features: &[&str]) -> Result<Self> {
        let mut cargo = workspace.cargo(&["build", "--release", "--quiet"]);
        process::run(cargo.args(["--package", "egom2p", "--package", "egom2p-video"]).args(features))?;
        Ok(Self { folder: workspace.target().join("release") })
    }

    /// A command of `egom2p`.
    pub(crate) fn egom2p(&self) -> Command {
        Command::new(self.folder.join("egom2p"))
    }

    /// A command of `egom2p-video`.
    pub(crate) fn video(&self) -> Command {
        Command::new(self.folder.join("egom2p-video"))
    }
}
