use crate::Result;
use crate::hashing::digest_file;
use egom2p_engine_core::{Digest, FileEntry, RelativePath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

const STAMPS_FILE: &str = "stamps.json";

/// Sizes and times of files when their digests were taken, so that an unchanged file is not hashed again. A bundle is
/// complete without them: moving or copying it makes them useless, not wrong.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamps {
    files: BTreeMap<RelativePath, Stamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified_secs: u64,
    modified_nanos: u32,
    blake3: Digest,
}

impl Stamps {
    /// The stamps of a bundle; none if there is no such file or it cannot be read.
    pub(crate) fn read(bundle: &Path) -> Self {
        let text = std::fs::read_to_string(bundle.join(STAMPS_FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The file in a bundle and its content.
    pub(crate) fn to_file(&self) -> (&'static str, String) {
        (STAMPS_FILE, serde_json::to_string_pretty(self).expect("paths and numbers can always be written as JSON"))
    }

    /// Size and digest of a file, hashed only if its size or time is new, or if `hash` asks for it.
    pub(crate) fn digest(&mut self, root: &Path, file: &RelativePath, hash: bool) -> Result<FileEntry> {
        let path = file.below(root);
        let before = Stamp::of(&path);
        if !hash
            && let (Some(now), Some(known)) = (before, self.files.get(file))
            && (Stamp { blake3: known.blake3, ..now }) == *known
        {
            return Ok(FileEntry { bytes: known.bytes, blake3: known.blake3 });
        }
        let (blake3, bytes) = digest_file(&path)?;
        match before {
            Some(stamp) => self.files.insert(file.clone(), Stamp { blake3, ..stamp }),
            None => self.files.remove(file),
        };
        Ok(FileEntry { bytes, blake3 })
    }

    /// Forgets all files but these.
    pub(crate) fn retain(&mut self, keep: impl Fn(&RelativePath) -> bool) {
        self.files.retain(|file, _| keep(file));
    }
}

impl Stamp {
    /// Size and time of a file now, without a digest.
    fn of(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            bytes: metadata.len(),
            modified_secs: modified.as_secs(),
            modified_nanos: modified.subsec_nanos(),
            blake3: Digest::from_bytes([0; 32]),
        })
    }
}
