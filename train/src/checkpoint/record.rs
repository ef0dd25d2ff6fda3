use super::{Checkpoint, CheckpointError, Result, file};
use egom2p_model::weights::WeightsPart;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The name of the file with what is no tensor.
const STATE_FILE: &str = "state.json";
/// What this release writes and reads.
const SCHEMA: u64 = 1;
/// The largest `state.json`.
const MAX_BYTES: u64 = 16 << 20;

/// What `state.json` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    schema: u64,
    pub(super) step: u64,
    /// The file with the parameters, which says what was trained.
    weights: String,
    files: BTreeMap<String, FileRecord>,
    pub(super) state: Value,
    /// Of all the rest as compact JSON with nothing in this place.
    digest: String,
}

/// What the bytes of a file must be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRecord {
    pub(super) n_bytes: u64,
    /// BLAKE3 of the whole file, in hexadecimal.
    pub(super) digest: String,
}

impl Record {
    /// What a checkpoint and its files, in the order of [`file::names`], are recorded as.
    pub(super) fn new(checkpoint: &Checkpoint, files: [FileRecord; 3]) -> Self {
        let names = file::names(checkpoint.part).map(str::to_owned);
        Self {
            schema: SCHEMA,
            step: checkpoint.step,
            weights: checkpoint.part.file_name().to_owned(),
            files: names.into_iter().zip(files).collect(),
            state: checkpoint.state.clone(),
            digest: String::new(),
        }
    }

    /// Writes the file. A state that would not be read back as it is now is refused.
    pub(super) fn write(mut self, folder: &Path) -> Result<()> {
        let step = self.step;
        let refuse = |reason: String| CheckpointError::State { step, reason };
        self.digest = self.content_digest().map_err(|error| refuse(error.to_string()))?;
        let bytes = serde_json::to_vec_pretty(&self).map_err(|error| refuse(error.to_string()))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refuse(format!("it takes {} bytes", bytes.len())));
        }
        let back: Self = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        if back.state != self.state {
            return Err(refuse("it has values that JSON cannot hold".to_owned()));
        }
        file::write_synced(&folder.join(STATE_FILE), &bytes)
    }

    /// Reads the file of a checkpoint and checks it against its own digest.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE_FILE);
        let damaged = |reason: String| CheckpointError::damaged(folder, reason);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => damaged(format!("{STATE_FILE} is missing")),
            _ => CheckpointError::read(&path)(error),
        })?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(damaged(format!("{STATE_FILE} has more than {MAX_BYTES} bytes")));
        }
        let unreadable =
            |error: serde_json::Error| damaged(format!("{STATE_FILE} is not readable at line {}", error.line()));
        let value: Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if let Some(schema) = value["schema"].as_u64().filter(|schema| *schema != SCHEMA) {
            return Err(CheckpointError::Schema { path: folder.to_owned(), got: schema, expected: SCHEMA });
        }
        let mut record: Self = serde_json::from_value(value).map_err(unreadable)?;
        let digest = std::mem::take(&mut record.digest);
        if record.content_digest().map_err(unreadable)? != digest {
            return Err(damaged(format!("{STATE_FILE} does not have the digest that was written")));
        }
        Ok(record)
    }

    /// What was trained, with the bytes of the three files as [`file::names`] orders them.
    pub(super) fn files(&self, folder: &Path) -> Result<(WeightsPart, [(&'static str, &FileRecord); 3])> {
        let damaged = |what: &str| CheckpointError::damaged(folder, format!("{STATE_FILE} does not name {what}"));
        let part = WeightsPart::ALL.into_iter().find(|part| part.file_name() == self.weights);
        let part = part.ok_or_else(|| damaged("a weights file"))?;
        let [config, weights, optimizer] = file::names(part);
        let file =
            |name: &'static str| Ok::<_, CheckpointError>((name, self.files.get(name).ok_or_else(|| damaged(name))?));
        Ok((part, [file(config)?, file(weights)?, file(optimizer)?]))
    }

    /// BLAKE3 of this record, whose own digest must be empty, in hexadecimal.
    fn content_digest(&self) -> serde_json::Result<String> {
        Ok(blake3::hash(&serde_json::to_vec(self)?).to_hex().to_string())
    }
}
