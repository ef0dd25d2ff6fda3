//! Copies of files and folders.

use std::{
    fs::{self, File, Permissions},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result};

use super::{interrupt, manifest, nvidia};
use crate::console::failure;

/// Copies a file; it can be run where the original can.
pub(super) fn file(from: &Path, to: &Path) -> Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    if nvidia::is_of_nvidia(&name) {
        return Err(failure(
            format_args!("{} is a library of NVIDIA, which may not be redistributed", from.display()),
            "take it out of the folder; the package says how its user gets it",
        ));
    }
    let uncopied = || format!("{} cannot be copied to {}\ncheck both disks", from.display(), to.display());
    let mut source = File::open(from).with_context(uncopied)?;
    let found = source.metadata().with_context(uncopied)?;
    if !found.is_file() {
        return Err(failure(format_args!("{} is no file", from.display()), "take it out of the folder"));
    }
    let mut target = File::create(to).with_context(uncopied)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        interrupt::check()?;
        match source.read(&mut buffer).with_context(uncopied)? {
            0 => break,
            n_bytes => target.write_all(&buffer[..n_bytes]).with_context(uncopied)?,
        }
    }
    let is_program = found.permissions().mode() & 0o111 != 0;
    fs::set_permissions(to, Permissions::from_mode(if is_program { 0o755 } else { 0o644 })).with_context(uncopied)
}

/// Copies all files below a folder but those named.
pub(super) fn folder(from: &Path, to: &Path, but: &[&str]) -> Result<()> {
    for path in manifest::files(from)? {
        if but.contains(&path.as_str()) {
            continue;
        }
        let target = to.join(&path);
        let parent = target.parent().unwrap_or(to);
        fs::create_dir_all(parent).with_context(|| format!("{} cannot be made\ncheck its disk", parent.display()))?;
        file(&from.join(&path), &target)?;
    }
    Ok(())
}

/// Writes a text; a script can be run.
pub(super) fn text(text: &[u8], to: &Path) -> Result<()> {
    let unwritten = || format!("{} cannot be written\ncheck its disk", to.display());
    fs::write(to, text).with_context(unwritten)?;
    let mode = if text.starts_with(b"#!") { 0o755 } else { 0o644 };
    fs::set_permissions(to, Permissions::from_mode(mode)).with_context(unwritten)
}
