//! Digests of weights files, remembered by size and time: a second export need not read gigabytes to see that nothing changed.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use egom2p_engine_core::Digest;
use serde::{Deserialize, Serialize};

/// The file in an export's folder that remembers.
const SOURCES_FILE: &str = "sources.json";

/// What is known of the files that an export was made from.
#[derive(Debug, Default)]
pub struct SourceDigests {
    folder: PathBuf,
    known: BTreeMap<String, Known>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    bytes: u64,
    modified_nanos: String,
    blake3: Digest,
}

impl SourceDigests {
    /// What an earlier export into `folder` remembered; nothing where that cannot be read.
    pub fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(SOURCES_FILE)).unwrap_or_default();
        Self { folder: folder.to_owned(), known: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// The digest of a file: the remembered one where size and time of writing are the same, else a fresh one.
    pub fn digest(&mut self, name: &str, path: &Path) -> Result<Digest, egom2p_engines::BundleError> {
        let stamp = stamp(path);
        if let (Some(known), Ok((bytes, modified))) = (self.known.get(name), &stamp)
            && known.bytes == *bytes
            && known.modified_nanos == *modified
        {
            return Ok(known.blake3);
        }
        let (blake3, bytes) = egom2p_engines::digest_file(path)?;
        if let Ok((_, modified_nanos)) = stamp {
            self.known.insert(name.to_owned(), Known { bytes, modified_nanos, blake3 });
        }
        Ok(blake3)
    }

    /// Remembers for the next export. Failing to do so costs that export time and nothing else.
    pub fn write(&self) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&self.known)?;
        let partial = self.folder.join(format!(".partial-{}-{SOURCES_FILE}", std::process::id()));
        fs::write(&partial, text)?;
        fs::rename(&partial, self.folder.join(SOURCES_FILE))
    }
}

fn stamp(path: &Path) -> io::Result<(u64, String)> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((metadata.len(), modified.as_nanos().to_string()))
}
