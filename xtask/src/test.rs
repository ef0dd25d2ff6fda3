//! Everything that continuous integration checks.

use anyhow::Result;

use crate::{
    console::say,
    process::{self, succeeds},
    setup,
    steps::Steps,
    workspace::Workspace,
};

/// Sets up, builds and runs every test; says how long each step took.
///
/// One profile serves the programs and the tests, so that no dependency is compiled twice. After the build, a failing
/// step does not keep the others from running.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let cargo = |arguments: &[&str]| workspace.cargo(arguments);
    let for_all = |subcommand: &[&str], options: &[&str]| workspace.cargo_for_all(subcommand, options);
    let mut steps = Steps::default();
    steps.run("setup", || setup::everything(workspace))?;
    steps.check("formatting", || process::run(&mut cargo(&["fmt", "--all", "--check"])));
    steps.run("build", || process::run(&mut for_all(&["build"], &["--all-targets", "--quiet"])))?;
    steps.check("lints", || {
        process::run(&mut for_all(&["clippy"], &["--all-targets", "--quiet", "--", "-D", "warnings"]))
    });
    for (name, features) in [("lints without GPUs", ""), ("lints without TensorRT", "cuda")] {
        let features = ["clippy", "--package", "egom2p", "--features", features, "--quiet", "--", "-D", "warnings"];
        steps.check(name, || process::run(&mut cargo(&features)));
    }
    if succeeds(&mut cargo(&["nextest", "--version"])) {
        steps.check("tests", || process::run(&mut for_all(&["nextest", "run"], &["--no-fail-fast"])));
    } else {
        say("cargo-nextest is not installed: running the tests with \"cargo test\", several in one process");
        steps.check("tests", || process::run(&mut for_all(&["test"], &["--all-targets", "--no-fail-fast", "--quiet"])));
    }
    steps.check("documentation tests", || process::run(&mut for_all(&["test"], &["--doc", "--quiet"])));
    steps.check("documentation", || {
        let mut doc = for_all(&["doc"], &["--no-deps", "--quiet"]);
        process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    if succeeds(&mut cargo(&["deny", "--version"])) {
        steps.check("licences and sources", || {
            process::run(&mut cargo(&["deny", "check", "bans", "licenses", "sources"]))
        });
    } else {
        say("skipped: cargo-deny is not installed, so licences and sources of dependencies are not checked");
    }
    steps.finish()
}
