//! OpenCV and libclang as Debian packages.

use std::process::Command;

use anyhow::Result;

use crate::{
    console::{failure, say},
    process,
};

/// What building `egom2p-video` needs: OpenCV's video module, and clang, which reads its headers.
const PACKAGES: [&str; 4] = ["libopencv-core-dev", "libopencv-videoio-dev", "libclang1", "clang"];

/// Installs the packages that are missing.
pub(super) fn install() -> Result<()> {
    if !process::succeeds(Command::new("dpkg-query").arg("--version")) {
        return Err(failure(
            "this is no Debian or Ubuntu machine (dpkg-query was not found), so OpenCV cannot be installed",
            "use Debian or Ubuntu, in a container for example",
        ));
    }
    let missing: Vec<_> = PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(format_args!("installing Debian packages: {}", missing.join(" ")));
    let by_hand = format!("run \"apt-get install --no-install-recommends {}\" as root", missing.join(" "));
    let mut update = apt_get(&by_hand)?;
    process::run(update.arg("update"))
        .map_err(|error| error.context(format!("the package lists cannot be updated\n{by_hand}")))?;
    let mut install = apt_get(&by_hand)?;
    install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
    process::run(&mut install).map_err(|error| error.context(format!("Debian packages cannot be installed\n{by_hand}")))
}

fn is_installed(package: &str) -> bool {
    let query =
        process::output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]));
    query.is_ok_and(|query| query.stdout == b"installed")
}

/// An `apt-get` command that asks nothing, through sudo where this user is not root.
fn apt_get(by_hand: &str) -> Result<Command> {
    if !process::succeeds(Command::new("apt-get").arg("--version")) {
        return Err(failure("apt-get was not found", by_hand));
    }
    let user = process::output(Command::new("id").arg("--user"))?;
    let mut command = if user.stdout.trim_ascii() == b"0" {
        Command::new("env")
    } else if process::succeeds(Command::new("sudo").arg("--version")) {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    } else {
        return Err(failure("installing Debian packages needs root, and sudo was not found", by_hand));
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    Ok(command)
}
