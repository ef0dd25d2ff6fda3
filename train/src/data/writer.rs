mod open_shard;
mod scan;

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use egom2p_model::Modality;

use super::pattern::folder_name;
use super::{DataError, TokenLayout, npz};
use open_shard::OpenShard;

/// How many samples a published shard has.
pub const SHARD_SAMPLES: usize = 1000;

/// The longest name of a sample.
const MAX_KEY_BYTES: usize = 200;

/// Where shards of tokens are written: `ROOT/[rgb,depth,cam,gaze]/DATASET/token/shard-000000.tar`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardSettings {
    /// The folder of all datasets.
    pub root: PathBuf,
    /// The folder of this one.
    pub dataset: String,
    /// What every sample has.
    pub modalities: Vec<Modality>,
    /// How many samples a shard has; [`SHARD_SAMPLES`] in the published data.
    pub n_samples: usize,
}

/// Writes shards of tokens in the published layout, and goes on where an earlier writer was interrupted.
///
/// A shard appears once it is whole, in all modalities. Shards that are whole when the writer opens are kept, and their
/// samples are [`contained`](Self::contains); a number whose shard is not whole is written anew.
#[derive(Debug)]
pub struct ShardWriter {
    settings: ShardSettings,
    layout: TokenLayout,
    /// The folder of the first modality, locked against other writers while this one lives.
    _lock: File,
    whole: BTreeSet<u32>,
    keys: HashSet<String>,
    open: Option<OpenShard>,
}

impl ShardWriter {
    /// Creates the folders, or looks through the shards that are there.
    pub fn open(settings: ShardSettings, layout: &TokenLayout) -> Result<Self, DataError> {
        check(&settings)?;
        let folders = folders(&settings);
        for folder in &folders {
            fs::create_dir_all(folder).map_err(write_error(folder))?;
        }
        let first = &folders[0];
        let lock = File::open(first).map_err(write_error(first))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(DataError::Busy { path: first.display().to_string() }),
            Err(fs::TryLockError::Error(error)) => return Err(write_error(first)(error)),
        }
        let (mut whole, mut keys) = (BTreeSet::new(), HashSet::new());
        for number in scan::numbers(first).map_err(write_error(first))? {
            let columns: Vec<_> = folders.iter().map(|folder| scan::keys(&folder.join(shard_name(number)))).collect();
            if let Some(Some(found)) = columns.first()
                && !found.is_empty()
                && columns.iter().all(|column| column.as_ref() == Some(found))
            {
                whole.insert(number);
                keys.extend(found.iter().cloned());
            }
        }
        Ok(Self { settings, layout: layout.clone(), _lock: lock, whole, keys, open: None })
    }

    /// Whether a sample is in a shard that is kept, or was appended.
    pub fn contains(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// How many samples are kept or were appended.
    pub fn n_samples(&self) -> usize {
        self.keys.len()
    }

    /// Adds a sample: tokens by [`Modality::index`], row-major, of exactly the writer's modalities. Fails, and writes
    /// nothing, where the name is there already or the tokens are not the model's. After an error in writing, what
    /// counts is what another writer finds when it opens.
    pub fn append(&mut self, key: &str, tokens: &[Option<Vec<i64>>; 4]) -> Result<(), DataError> {
        self.check_key(key)?;
        let columns = Modality::ALL.into_iter().filter_map(|modality| {
            let wanted = self.settings.modalities.contains(&modality);
            match (&tokens[modality.index()], wanted) {
                (Some(tokens), true) => Some(self.check_tokens(key, modality, tokens).map(|()| (modality, tokens))),
                (None, false) => None,
                (Some(_), false) => Some(Err(unwritable(key, format!("it has {modality}, which these shards lack")))),
                (None, true) => Some(Err(unwritable(key, format!("it lacks {modality}")))),
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut shard = match self.open.take() {
            Some(shard) => shard,
            None => OpenShard::create(&folders(&self.settings), self.next_number())?,
        };
        for (column, (modality, tokens)) in columns.into_iter().enumerate() {
            let archive = npz::write_tokens(&self.layout, modality, tokens);
            shard.append(column, key, &archive.map_err(|error| unwritable(key, error.to_string()))?)?;
        }
        self.keys.insert(key.to_owned());
        shard.n_samples += 1;
        if shard.n_samples == self.settings.n_samples {
            return self.close(shard);
        }
        self.open = Some(shard);
        Ok(())
    }

    /// Writes the last shard, which may be a short one.
    pub fn finish(mut self) -> Result<(), DataError> {
        match self.open.take() {
            Some(shard) => self.close(shard),
            None => Ok(()),
        }
    }

    fn close(&mut self, shard: OpenShard) -> Result<(), DataError> {
        let number = shard.number;
        shard.publish()?;
        self.whole.insert(number);
        Ok(())
    }

    /// The smallest number without a whole shard.
    fn next_number(&self) -> u32 {
        self.whole.iter().zip(0..).take_while(|(number, index)| *number == index).count() as u32
    }

    fn check_key(&self, key: &str) -> Result<(), DataError> {
        let plain = |symbol: char| !symbol.is_control() && !"./\\".contains(symbol);
        if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.chars().all(plain) {
            let key = key.chars().filter(|symbol| !symbol.is_control()).take(MAX_KEY_BYTES).collect();
            let reason = format!("a name has 1 to {MAX_KEY_BYTES} bytes and no dots, slashes or control characters");
            return Err(DataError::Unwritable { key, reason, help: "rename the clip" });
        }
        if self.keys.contains(key) {
            let (key, reason) = (key.to_owned(), "it was written before".to_owned());
            return Err(DataError::Unwritable { key, reason, help: "give every clip of a dataset its own name" });
        }
        Ok(())
    }

    fn check_tokens(&self, key: &str, modality: Modality, tokens: &[i64]) -> Result<(), DataError> {
        let (n_tokens, vocabulary) = (self.layout.n_tokens(modality), self.layout.vocabulary(modality));
        if tokens.len() != n_tokens {
            return Err(unwritable(key, format!("it has {} tokens of {modality}, expected {n_tokens}", tokens.len())));
        }
        match tokens.iter().find(|token| !usize::try_from(**token).is_ok_and(|token| token < vocabulary)) {
            Some(token) => {
                Err(unwritable(key, format!("{modality} holds the token {token}, expected 0 to {}", vocabulary - 1)))
            }
            None => Ok(()),
        }
    }
}

fn check(settings: &ShardSettings) -> Result<(), DataError> {
    let setting = |name: &str, got: String, expected| Err(DataError::Setting { name: name.to_owned(), got, expected });
    let different: BTreeSet<_> = settings.modalities.iter().collect();
    let name = &settings.dataset;
    if settings.modalities.is_empty() || different.len() < settings.modalities.len() {
        return setting("modalities", format!("{:?}", settings.modalities), "at least one, each once");
    }
    if settings.n_samples == 0 || settings.n_samples > 1_000_000 {
        return setting("the number of samples of a shard", settings.n_samples.to_string(), "1 to 1000000");
    }
    if name.is_empty()
        || name.starts_with('.')
        || name.contains(|symbol: char| "/\\{}[],*".contains(symbol) || symbol.is_control())
    {
        return setting(
            "the name of the dataset",
            format!("{name:?}"),
            "a folder name without brackets, commas and stars",
        );
    }
    Ok(())
}

/// The folders of the modalities, in the order of their index.
fn folders(settings: &ShardSettings) -> Vec<PathBuf> {
    let modalities = Modality::ALL.into_iter().filter(|modality| settings.modalities.contains(modality));
    modalities.map(|modality| settings.root.join(folder_name(modality)).join(&settings.dataset).join("token")).collect()
}

fn shard_name(number: u32) -> String {
    format!("shard-{number:06}.tar")
}

fn unwritable(key: &str, reason: String) -> DataError {
    DataError::Unwritable { key: key.to_owned(), reason, help: "make the tokens with this preset's tokenizers" }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    let path = path.display().to_string();
    move |source| DataError::Write { path, source }
}
