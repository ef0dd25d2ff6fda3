use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;

use egom2p_model::Modality;

use super::key::Key;
use super::source::{Cursor, Found, Packed, Place, unreadable};
use super::store::{Amount, Store};
use super::{Damage, DataError};

/// Folders of `.npz` files, one for every modality; files of the same name are one sample.
///
/// The published code matches the files by their index among the sorted names instead, so that one file too many in one
/// folder gives every sample behind it the tokens of another clip; here a file without its fellows is damage.
#[derive(Debug)]
pub(super) struct FolderSource {
    store: Box<dyn Store>,
    folders: [Option<String>; 4],
    limits: [u64; 4],
    /// The names of all samples, without `.npz`, sorted.
    keys: Vec<String>,
}

impl FolderSource {
    pub(super) fn open(
        store: Box<dyn Store>,
        folders: [Option<String>; 4],
        limits: [u64; 4],
    ) -> Result<Self, DataError> {
        let mut keys = BTreeSet::new();
        for folder in folders.iter().flatten() {
            let names = store.list(folder).map_err(|error| DataError::List {
                path: folder.clone(),
                reason: super::npy::one_line(&error.to_string()),
            })?;
            keys.extend(names.iter().filter_map(|name| Some(name.strip_suffix(".npz")?.to_owned())));
        }
        let keys: Vec<String> = keys.into_iter().collect();
        if keys.is_empty() {
            let path = folders.into_iter().flatten().next().unwrap_or_default();
            return Err(DataError::List { path, reason: "it holds no .npz files".to_owned() });
        }
        Ok(Self { store, folders, limits, keys })
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn path(&self, key: &str, modality: Modality) -> String {
        format!("{}/{key}.npz", self.folders[modality.index()].as_deref().unwrap_or_default())
    }

    /// The samples in a random order.
    pub(super) fn places(&self, key: &Key) -> impl Iterator<Item = Place> {
        let place = |index: u32| Place { key: self.keys[index as usize].clone(), shard: 0, offsets: [0; 4] };
        key.permutation(self.len()).into_iter().map(place)
    }

    /// Reads the samples of one pass, in an order of its own.
    pub(super) fn walk(
        &self,
        key: &Key,
        mut cursor: Cursor,
        emit: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for place in self.places(&key.branch(cursor.draw)).skip(cursor.member as usize) {
            cursor.member += 1;
            emit(self.read(&place).map_or_else(Found::Damage, |packed| Found::Sample(packed, cursor)))?;
        }
        ControlFlow::Continue(())
    }

    /// Reads one sample.
    pub(super) fn read(&self, place: &Place) -> Result<Packed, Damage> {
        let mut packed = Packed { place: place.clone(), content: Default::default() };
        for modality in Modality::ALL.into_iter().filter(|modality| self.folders[modality.index()].is_some()) {
            let (path, limit) = (self.path(&place.key, modality), self.limits[modality.index()]);
            let mut content = Vec::new();
            let read = self
                .store
                .open(&path, 0, Amount::Bytes(limit))
                .and_then(|file| file.take(limit + 1).read_to_end(&mut content));
            read.map_err(|error| unreadable(&path, &error))?;
            if content.len() as u64 > limit {
                let reason = format!("larger than {limit} bytes, the most that it can need");
                return Err(Damage::Foreign { member: path, reason });
            }
            packed.content[modality.index()] = Some(content);
        }
        Ok(packed)
    }
}
