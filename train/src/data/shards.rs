use std::ops::ControlFlow;

use egom2p_model::Modality;

use super::Damage;
use super::source::{Cursor, Found, Packed, Place, member, unreadable};
use super::store::{Amount, Store};
use super::tar::{Member, TarError, TarReader};

/// Shards of tar files, one for every modality, that hold the same samples in the same order.
#[derive(Debug)]
pub(super) struct ShardSource {
    store: Box<dyn Store>,
    shards: Vec<[Option<String>; 4]>,
    /// The largest member of every modality, in bytes.
    limits: [u64; 4],
}

impl ShardSource {
    pub(super) fn new(store: Box<dyn Store>, shards: Vec<[Option<String>; 4]>, limits: [u64; 4]) -> Self {
        Self { store, shards, limits }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn path(&self, shard: u32, modality: Modality) -> &str {
        let paths = self.shards.get(shard as usize);
        paths.and_then(|paths| paths[modality.index()].as_deref()).unwrap_or_default()
    }

    /// Reads the shard from the cursor to its end, all modalities side by side. Where they stop to agree, the rest is
    /// passed over, as in the published pipeline; so it is behind a cut or a header that is none.
    pub(super) fn walk(
        &self,
        shard: u32,
        mut cursor: Cursor,
        emit: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut columns = Vec::new();
        for (index, path) in self.shards[shard as usize].iter().enumerate() {
            let Some(path) = path else { continue };
            match self.store.open(path, cursor.offsets[index], Amount::All) {
                Ok(reader) => {
                    columns.push(Column {
                        index,
                        path,
                        tar: TarReader::new(reader, cursor.offsets[index], self.limits[index]),
                    });
                }
                Err(error) => return emit(Found::Damage(unreadable(path, &error))),
            }
        }
        loop {
            let mut row = Vec::new();
            for column in &mut columns {
                loop {
                    match column.next() {
                        Ok(found) => {
                            row.push(found);
                            break;
                        }
                        Err(Fault::Foreign(damage)) => emit(Found::Damage(damage))?,
                        Err(Fault::Fatal(damage)) => return emit(Found::Damage(damage)),
                    }
                }
            }
            if let Some(damage) = misaligned(&columns, &row, cursor.member) {
                return emit(Found::Damage(damage));
            }
            let Some(key) = row.first().and_then(|found| found.as_ref().map(|(key, _)| key.clone())) else {
                let path = columns.first().map(|column| column.path.to_owned()).unwrap_or_default();
                return match cursor.member {
                    0 => emit(Found::Damage(Damage::Empty { path })),
                    _ => ControlFlow::Continue(()),
                };
            };
            let mut packed = Packed { place: Place { key, shard, offsets: [0; 4] }, content: Default::default() };
            let mut large = None;
            for (column, found) in columns.iter().zip(row) {
                cursor.offsets[column.index] = column.tar.position();
                let Some((key, found)) = found else { continue };
                packed.place.offsets[column.index] = found.start;
                match found.content {
                    Ok(content) => packed.content[column.index] = Some(content),
                    Err(n_bytes) => {
                        large = Some(too_large(&member(column.path, &key), n_bytes, self.limits[column.index]));
                    }
                }
            }
            cursor.member += 1;
            emit(large.map_or(Found::Sample(packed, cursor), Found::Damage))?;
        }
    }

    /// Reads one sample again.
    pub(super) fn read(&self, place: &Place) -> Result<Packed, Damage> {
        let mut packed = Packed { place: place.clone(), content: Default::default() };
        let shard = self.shards.get(place.shard as usize);
        let shard = shard.ok_or_else(|| Damage::Missing { path: format!("shard {} of the pattern", place.shard) })?;
        for (index, path) in shard.iter().enumerate() {
            let Some(path) = path else { continue };
            let (offset, limit) = (place.offsets[index], self.limits[index]);
            let reader =
                self.store.open(path, offset, Amount::Bytes(limit)).map_err(|error| unreadable(path, &error))?;
            let mut column = Column { index, path, tar: TarReader::new(reader, offset, limit) };
            let found = column.next().map_err(|fault| match fault {
                Fault::Foreign(damage) | Fault::Fatal(damage) => damage,
            })?;
            let found = found.filter(|(key, _)| *key == place.key).map(|(_, found)| found.content);
            let gone = || Damage::Missing { path: member(path, &place.key) };
            let content = found.ok_or_else(gone)?;
            packed.content[index] =
                Some(content.map_err(|n_bytes| too_large(&member(path, &place.key), n_bytes, limit))?);
        }
        Ok(packed)
    }
}

/// The tar file of one modality.
struct Column<'a> {
    index: usize,
    path: &'a str,
    tar: TarReader,
}

enum Fault {
    /// One member is passed over.
    Foreign(Damage),
    /// The shard is not read on.
    Fatal(Damage),
}

impl Column<'_> {
    /// The next sample's key and member; `None` at the end.
    fn next(&mut self) -> Result<Option<(String, Member)>, Fault> {
        let path = self.path.to_owned();
        let found = self.tar.next().map_err(|error| {
            Fault::Fatal(match error {
                TarError::Io(error) => unreadable(self.path, &error),
                TarError::Truncated(at, part) => Damage::Truncated { path, at, part },
                TarError::Header(at, reason) => Damage::Tar { path, at, reason },
            })
        })?;
        let Some(found) = found else { return Ok(None) };
        match found.name.strip_suffix(".npz") {
            Some(key) => Ok(Some((key.to_owned(), found))),
            None => Err(Fault::Foreign(Damage::Foreign {
                member: format!("{}: {:?}", self.path, found.name),
                reason: "not an .npz".to_owned(),
            })),
        }
    }
}

fn misaligned(columns: &[Column], row: &[Option<(String, Member)>], index: u64) -> Option<Damage> {
    let key = |found: &Option<(String, Member)>| found.as_ref().map(|(key, _)| key.clone());
    let first = key(row.first()?);
    let (column, got) = columns.iter().zip(row).find(|(_, found)| key(found) != first)?;
    let said = |key: Option<String>| key.map_or("the end of the shard".to_owned(), |key| format!("{key:?}"));
    Some(Damage::Misaligned {
        path: column.path.to_owned(),
        other: columns.first()?.path.to_owned(),
        index,
        got: said(key(got)),
        expected: said(first),
    })
}

fn too_large(member: &str, n_bytes: u64, limit: u64) -> Damage {
    let reason = format!("{n_bytes} bytes large, expected at most {limit}");
    Damage::Foreign { member: member.to_owned(), reason }
}
