//! A package as one archive in parts, which fit where files have a largest size, and the script that joins them.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{copy, interrupt, manifest, size::Size};

const JOIN: &str = include_str!("join.sh");
/// The script's name beside the parts.
pub(super) const JOIN_NAME: &str = "join.sh";
/// As many as have names of three digits.
const MAX_PARTS: usize = 1000;
/// The time of every file, because archives of the same files are the same bytes: the first that all formats know.
const MODIFIED_SECS: u64 = 315_532_800;

/// Writes the archive of a package in parts of at most `size` into a folder; returns how many there are.
pub(super) fn write(package: &Path, folder: &Path, name: &str, size: Size) -> Result<usize> {
    let uncut =
        || format!("{} cannot be cut into parts\ncheck the disk, or take a larger --part-size", package.display());
    let mut archive = tar::Builder::new(Cutter::new(folder, name, size));
    for path in manifest::files(package)? {
        interrupt::check()?;
        let file = File::open(package.join(&path)).with_context(uncut)?;
        let found = file.metadata().with_context(uncut)?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(found.len());
        header.set_mode(found.permissions().mode() & 0o777);
        header.set_mtime(MODIFIED_SECS);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, format!("{name}/{path}"), file).with_context(uncut)?;
    }
    let cut = archive.into_inner().and_then(Cutter::finish);
    let Cut { parts, whole } = cut.with_context(uncut)?;
    let listed: Vec<_> = parts.iter().map(|part| format!("{}:{}", part.sha256, part.name)).collect();
    let script = JOIN.replace("@PACKAGE@", name).replace("@WHOLE@", &whole).replace("@PARTS@", &listed.join("\n"));
    copy::text(script.as_bytes(), &folder.join(JOIN_NAME))?;
    Ok(parts.len())
}

/// What was written.
struct Cut {
    parts: Vec<Part>,
    /// SHA-256 over all parts.
    whole: String,
}

struct Part {
    name: String,
    sha256: String,
}

/// Writes into a file until it is full, then into the next.
struct Cutter {
    folder: PathBuf,
    package: String,
    max_bytes: u64,
    current: Option<Current>,
    parts: Vec<Part>,
    whole: Sha256,
}

struct Current {
    name: String,
    file: File,
    n_bytes: u64,
    digest: Sha256,
}

impl Cutter {
    fn new(folder: &Path, package: &str, size: Size) -> Self {
        Self {
            folder: folder.to_owned(),
            package: package.to_owned(),
            max_bytes: size.0,
            current: None,
            parts: Vec::new(),
            whole: Sha256::new(),
        }
    }

    fn begin(&self) -> io::Result<Current> {
        let n_parts = self.parts.len();
        if n_parts == MAX_PARTS {
            return Err(io::Error::other(format!("it has more than {MAX_PARTS} parts of {} bytes", self.max_bytes)));
        }
        let name = format!("{}.tar.{n_parts:03}", self.package);
        let file = File::create_new(self.folder.join(&name))?;
        Ok(Current { name, file, n_bytes: 0, digest: Sha256::new() })
    }

    fn close(&mut self, current: Current) -> io::Result<()> {
        current.file.sync_all()?;
        self.parts.push(Part { name: current.name, sha256: manifest::hexadecimal(&current.digest.finalize()) });
        Ok(())
    }

    fn finish(mut self) -> io::Result<Cut> {
        if let Some(current) = self.current.take() {
            self.close(current)?;
        }
        Ok(Cut { parts: self.parts, whole: manifest::hexadecimal(&self.whole.finalize()) })
    }
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        let mut current = match self.current.take() {
            Some(current) if current.n_bytes < self.max_bytes => current,
            Some(full) => {
                self.close(full)?;
                self.begin()?
            }
            None => self.begin()?,
        };
        let room = usize::try_from(self.max_bytes - current.n_bytes).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(room)];
        current.file.write_all(taken)?;
        current.digest.update(taken);
        current.n_bytes += taken.len() as u64;
        self.whole.update(taken);
        self.current = Some(current);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), |current| current.file.flush())
    }
}

/// Whether a folder was written by this module.
pub(super) fn is_written(folder: &Path) -> bool {
    fs::read_to_string(folder.join(JOIN_NAME)).is_ok_and(|script| script.lines().nth(1) == JOIN.lines().nth(1))
}
