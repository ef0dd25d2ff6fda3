use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use egom2p_engine_core::{Digest, FileEntry, RelativePath};
use serde::{Deserialize, Serialize};

use crate::WrittenWeights;

/// The file that says what the weights files were made from, so that equal ones are not made again.
pub(super) const RECORD_FILE: &str = "export.inputs.json";

/// Version of the record that this program writes and reads.
const SCHEMA: u32 = 1;

/// What every weights file of a folder was made from.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    schema: u32,
    weights: BTreeMap<RelativePath, Made>,
}

/// What one weights file was made from, and what came of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    /// Digest of the layout and of what the caller says decides the values.
    inputs: Digest,
    /// When the file was last written, nanoseconds since 1970; 0 where the file system does not say.
    modified_nanos: u64,
    /// Size and digest of the file.
    file: FileEntry,
    /// The digest of every tensor.
    tensors: BTreeMap<String, Digest>,
}

impl Record {
    /// No file.
    pub(super) fn new() -> Self {
        Self { schema: SCHEMA, weights: BTreeMap::new() }
    }

    /// The record of a folder; one that is missing, damaged or of another version knows nothing.
    pub(super) fn read(folder: &Path) -> Self {
        let text = fs::read(folder.join(RECORD_FILE)).unwrap_or_default();
        serde_json::from_slice(&text).ok().filter(|record: &Self| record.schema == SCHEMA).unwrap_or_else(Self::new)
    }

    /// What `name` holds, if it was made from `inputs` and still is what was written then.
    pub(super) fn unchanged(&self, folder: &Path, name: &RelativePath, inputs: &Digest) -> Option<WrittenWeights> {
        let made = self.weights.get(name).filter(|made| made.inputs == *inputs)?;
        let path = name.below(folder);
        let metadata = fs::metadata(&path).ok()?;
        let is_touched = made.modified_nanos == 0 || made.modified_nanos != modified_nanos(&path);
        let is_same = metadata.len() == made.file.bytes && (!is_touched || digest(&path)? == made.file.blake3);
        is_same.then(|| WrittenWeights { file: made.file, tensors: made.tensors.clone() })
    }

    /// Remembers a weights file, which stands at `path` now.
    pub(super) fn insert(&mut self, name: RelativePath, path: &Path, inputs: Digest, written: &WrittenWeights) {
        let made =
            Made { inputs, modified_nanos: modified_nanos(path), file: written.file, tensors: written.tensors.clone() };
        self.weights.insert(name, made);
    }
}

fn modified_nanos(path: &Path) -> u64 {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = modified.and_then(|time: SystemTime| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

fn digest(path: &Path) -> Option<Digest> {
    let mut file = fs::File::open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk).ok()? {
            0 => return Some(Digest::from_bytes(*hasher.finalize().as_bytes())),
            n => hasher.update(&chunk[..n]),
        };
    }
}
