//! `MANIFEST.sha256`: every file of a package in the form that `sha256sum -c` reads.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::interrupt;
use crate::console::failure;

/// The manifest's name in a package.
pub(super) const NAME: &str = "MANIFEST.sha256";

/// Writes the manifest of all files below a folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    let mut lines = String::new();
    for path in files(folder)? {
        let file = folder.join(&path);
        let mut open = File::open(&file).with_context(|| unreadable(&file))?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            interrupt::check()?;
            match open.read(&mut buffer).with_context(|| unreadable(&file))? {
                0 => break,
                n_bytes => digest.update(&buffer[..n_bytes]),
            }
        }
        // Writing to a text cannot fail.
        let _ = writeln!(lines, "{}  {path}", hexadecimal(&digest.finalize()));
    }
    let path = folder.join(NAME);
    fs::write(&path, lines).with_context(|| format!("{} cannot be written\ncheck its disk", path.display()))
}

/// The files below a folder, sorted, by their paths inside of it.
pub(super) fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let entries = fs::read_dir(folder.join(&inner)).with_context(|| unreadable(&folder.join(&inner)))?;
        for entry in entries {
            let name = entry.with_context(|| unreadable(&folder.join(&inner)))?.file_name();
            let path = inner.join(&name);
            if folder.join(&path).is_dir() {
                folders.push(path);
                continue;
            }
            let plain = path.to_str().filter(|path| !path.contains(['\\', '\n', '\r']));
            found.push(plain.map(str::to_owned).ok_or_else(|| {
                failure(
                    format_args!("{} has a name that no manifest can hold", folder.join(&path).display()),
                    "rename it without backslashes and line ends, in UTF-8",
                )
            })?);
        }
    }
    found.sort();
    Ok(found)
}

/// A digest as `sha256sum` prints it.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn unreadable(path: &Path) -> String {
    format!("{} cannot be read\ncheck its permissions", path.display())
}
