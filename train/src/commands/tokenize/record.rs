use super::super::model::read_text;
use anyhow::{Context as _, ensure};
use egom2p::io::write_atomically;
use egom2p_model::{ModelConfig, WeightsFolder, weights::WeightsPart};
use egom2p_train::preparation::PreparationSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fs, io::Write as _, path::Path};

/// The name of its file in a folder of tokens.
const RECORD_FILE: &str = "tokens.json";

/// What the tokens of a folder follow from besides the clips: tokens that follow from something else do not come beside
/// them.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Samples of a shard.
    pub(super) shard_samples: usize,
    /// The digests of the weights files by the names of the modalities.
    pub(super) tokenizers: BTreeMap<String, String>,
    /// Sizes and conventions of the clips.
    pub(super) preparation: PreparationSettings,
    /// The sizes of the model.
    pub(super) config: ModelConfig,
}

impl Record {
    /// Puts the record into a folder that has no tokens yet; fails where the folder has others.
    pub(super) fn enter(&self, folder: &Path) -> anyhow::Result<()> {
        let (path, shown) = (folder.join(RECORD_FILE), folder.display());
        if !path.exists() {
            let is_empty = fs::read_dir(folder).is_ok_and(|mut entries| {
                entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.')))
            });
            ensure!(is_empty, "{shown} holds something else\nchoose an empty folder, or one that tokenize has begun");
            let text = serde_json::to_string_pretty(self).context("cannot write JSON")?;
            return Ok(write_atomically(&path, |file| file.write_all(text.as_bytes()))?);
        }
        let name = path.display();
        let unreadable = || format!("{name} is not what tokenize writes\nchoose an empty folder");
        let found: Value = serde_json::from_str(&read_text(&path)?).with_context(unreadable)?;
        let expected = serde_json::to_value(self).context("cannot write JSON")?;
        let differs = |field: &&str| found.get(field) != expected.get(field);
        let differing = ["config", "tokenizers", "preparation", "shard_samples"].into_iter().find(differs);
        ensure!(
            differing.is_none(),
            "{shown} holds tokens of another {}\ngo on with what it was begun with, or choose an empty folder",
            match differing {
                Some("config") => "model",
                Some("tokenizers") => "choice or training of tokenizers",
                Some("preparation") => "preparation of clips",
                _ => "--shard-samples",
            }
        );
        Ok(())
    }
}

/// The digest of a weights file.
pub(super) fn digest(folder: &WeightsFolder, part: WeightsPart) -> anyhow::Result<String> {
    let path = folder.path().join(part.file_name());
    let mut hasher = blake3::Hasher::new();
    let hashed = fs::File::open(&path).and_then(|file| hasher.update_reader(file).map(|_| ()));
    hashed.with_context(|| format!("cannot read {}\ncheck that it may be read", path.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}
