//! Accepting what changed on purpose.

use anyhow::Result;

use crate::{docs, process, setup, workspace::Workspace};

/// Writes the generated documents and accepts every snapshot as it is now.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::everything(workspace)?;
    docs::write(workspace)?;
    let mut tests = workspace.cargo_for_all(&["test"], &["--all-targets", "--no-fail-fast", "--quiet"]);
    // insta: write what is new, and let the test pass that asked for it.
    tests.env("INSTA_UPDATE", "always").env("INSTA_FORCE_PASS", "1");
    process::run(&mut tests)
}
