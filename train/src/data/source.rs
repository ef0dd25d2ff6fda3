use std::io;
use std::ops::ControlFlow;

use egom2p_model::Modality;
use serde::{Deserialize, Serialize};

use super::folder::FolderSource;
use super::key::Key;
use super::npz::{self, NpzFault};
use super::shards::ShardSource;
use super::{Damage, DataError, SourcePaths, SourcePattern, TokenLayout, store};

/// How far the reading of a dataset is: what comes next.
///
/// A draw is one pass over a shard, or over a folder in a new order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// Which draw, from 0.
    pub(super) draw: u64,
    /// How many members of it are behind.
    pub(super) member: u64,
    /// Where the next member of every modality starts in its shard, by index; not used by folders.
    pub(super) offsets: [u64; 4],
}

impl Cursor {
    /// The start of the draw after this one.
    pub(super) fn next_draw(&self) -> Self {
        Self { draw: self.draw + 1, ..Self::default() }
    }
}

/// Where a sample is, so that it can be read again without what stands before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) key: String,
    /// The index of the shard; 0 in a folder.
    pub(super) shard: u32,
    /// As in [`Cursor`].
    pub(super) offsets: [u64; 4],
}

/// A sample that is read, but not unpacked.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) place: Place,
    /// The bytes of every modality's `.npz`, by index.
    pub(super) content: [Option<Vec<u8>>; 4],
}

/// A sample in memory. Tokens take four bytes here, as thousands of samples wait in the buffers.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) place: Place,
    pub(super) tokens: [Option<Vec<u32>>; 4],
}

/// What the reading of a dataset meets.
#[derive(Debug)]
pub(super) enum Found {
    /// A sample, and what comes behind it.
    Sample(Packed, Cursor),
    Damage(Damage),
}

/// The shards or the folder of a dataset.
#[derive(Debug)]
pub(super) enum Source {
    Shards(ShardSource),
    Folder(FolderSource),
}

impl Source {
    pub(super) fn open(pattern: &SourcePattern, layout: &TokenLayout) -> Result<Self, DataError> {
        let first = match &pattern.paths {
            SourcePaths::Shards(shards) => shards.first().and_then(|shard| shard.iter().flatten().next()),
            SourcePaths::Folders(folders) => folders.iter().flatten().next(),
        };
        let store = store::open(first.map_or("", String::as_str))?;
        Self::open_in(store, pattern, layout)
    }

    /// The same in a store that is open.
    pub(super) fn open_in(
        store: Box<dyn store::Store>,
        pattern: &SourcePattern,
        layout: &TokenLayout,
    ) -> Result<Self, DataError> {
        let limits = Modality::ALL.map(|modality| layout.max_bytes(modality));
        Ok(match &pattern.paths {
            SourcePaths::Shards(shards) => Self::Shards(ShardSource::new(store, shards.clone(), limits)),
            SourcePaths::Folders(folders) => Self::Folder(FolderSource::open(store, folders.clone(), limits)?),
        })
    }

    /// How many shards there are; a folder is one.
    pub(super) fn n_shards(&self) -> usize {
        match self {
            Self::Shards(shards) => shards.len(),
            Self::Folder(_) => 1,
        }
    }

    /// How many files a folder has; `None` for shards, whose members are not counted.
    pub(super) fn n_files(&self) -> Option<usize> {
        match self {
            Self::Shards(_) => None,
            Self::Folder(folder) => Some(folder.len()),
        }
    }

    /// Which shard a draw reads: any with the same probability, with replacement.
    pub(super) fn shard(&self, key: &Key, draw: u64) -> u32 {
        key.below(draw, self.n_shards()) as u32
    }

    /// Reads on to the end of a draw and hands out what it meets.
    pub(super) fn walk(
        &self,
        key: &Key,
        cursor: Cursor,
        emit: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Shards(shards) => shards.walk(self.shard(key, cursor.draw), cursor, emit),
            Self::Folder(folder) => folder.walk(key, cursor, emit),
        }
    }

    /// Reads one sample again.
    pub(super) fn read(&self, place: &Place) -> Result<Packed, Damage> {
        match self {
            Self::Shards(shards) => shards.read(place),
            Self::Folder(folder) => folder.read(place),
        }
    }

    /// Unpacks what was read.
    pub(super) fn unpack(&self, layout: &TokenLayout, packed: &Packed) -> Result<Unpacked, Damage> {
        let mut tokens: [Option<Vec<u32>>; 4] = Default::default();
        for modality in Modality::ALL {
            if let Some(content) = &packed.content[modality.index()] {
                let unpacked = npz::read_tokens(content, layout, modality);
                let member = || self.member(&packed.place, modality);
                tokens[modality.index()] = Some(unpacked.map_err(|fault| match fault {
                    NpzFault::Corrupt(reason) => Damage::Corrupt { member: member(), reason },
                    NpzFault::Array(reason) => Damage::Array { member: member(), reason },
                })?);
            }
        }
        Ok(Unpacked { place: packed.place.clone(), tokens })
    }

    /// What messages call the file of a sample.
    fn member(&self, place: &Place, modality: Modality) -> String {
        match self {
            Self::Shards(shards) => member(shards.path(place.shard, modality), &place.key),
            Self::Folder(folder) => folder.path(&place.key, modality),
        }
    }
}

/// What messages call a member of a shard.
pub(super) fn member(path: &str, key: &str) -> String {
    format!("{path}: {key}.npz")
}

/// The damage of a file that cannot be opened or read.
pub(super) fn unreadable(path: &str, error: &io::Error) -> Damage {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => Damage::Missing { path },
        _ => Damage::Unreadable { path, reason: super::npy::one_line(&error.to_string()) },
    }
}
