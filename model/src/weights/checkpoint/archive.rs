use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::CheckpointError;
use crate::weights::quote::quoted;

/// A PyTorch zip archive: everything stands in one root folder and is stored without compression.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    file: File,
    zip: ZipArchive<BufReader<File>>,
    root: String,
    n_bytes: u64,
}

/// A stretch of one entry of an [`Archive`], read from its first byte to its last.
pub(super) struct Entry<'a> {
    path: &'a Path,
    archive: &'a File,
    name: String,
    /// Where in the file the entry starts.
    start: u64,
    source: Source<'a>,
    n_left: u64,
}

enum Source<'a> {
    /// The entry from start to end, whose checksum is verified when its last byte is read.
    Whole(ZipFile<'a, BufReader<File>>),
    /// The archive's file, from this position on.
    Stretch(u64),
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let read_error = |source| CheckpointError::Read { path: path.to_owned(), source };
        let not_an_archive = |reason: String| CheckpointError::NotAnArchive { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(read_error)?;
        let n_bytes = file.metadata().map_err(read_error)?.len();
        let mut start = Vec::new();
        file.by_ref().take(OLD_LAYOUT_MAGIC.len() as u64).read_to_end(&mut start).map_err(read_error)?;
        if start == OLD_LAYOUT_MAGIC {
            return Err(CheckpointError::OldLayout { path: path.to_owned() });
        }
        let listed = file.try_clone().map_err(read_error)?;
        let zip =
            ZipArchive::new(BufReader::new(listed)).map_err(|error| not_an_archive(quoted(&error.to_string())))?;
        let root_of = |name: &str| name.strip_suffix("/data.pkl").filter(|root| !root.contains('/')).map(str::to_owned);
        let root = zip.file_names().flatten().find_map(|name| root_of(&name));
        let root = root.ok_or_else(|| not_an_archive("it has no entry data.pkl".into()))?;
        Ok(Self { path: path.to_owned(), file, zip, root, n_bytes })
    }

    pub(super) fn contains(&self, entry: &str) -> bool {
        self.zip.index_for_name(&self.full_name(entry)).is_some()
    }

    /// What the archive says about its byte order; archives before PyTorch 2.1 say nothing and are little-endian.
    pub(super) fn byte_order(&mut self) -> Result<Option<Vec<u8>>, CheckpointError> {
        if self.contains("byteorder") { self.read_entry("byteorder", 64).map(Some) } else { Ok(None) }
    }

    /// A whole entry of at most `limit` bytes.
    pub(super) fn read_entry(&mut self, entry: &str, limit: u64) -> Result<Vec<u8>, CheckpointError> {
        let entry = self.open_entry(entry)?;
        if entry.n_left > limit {
            return Err(entry.error(format!("it has {} bytes, expected at most {limit}", entry.n_left)));
        }
        entry.read_all()
    }

    /// The bytes in `range` of an entry that must have `n_bytes` in all.
    pub(super) fn stretch(
        &mut self,
        entry: &str,
        range: Range<u64>,
        n_bytes: u64,
    ) -> Result<Entry<'_>, CheckpointError> {
        let mut entry = self.open_entry(entry)?;
        if entry.n_left != n_bytes {
            return Err(entry.error(format!("it has {} bytes, expected {n_bytes}", entry.n_left)));
        }
        if range != (0..n_bytes) {
            entry.n_left = range.end.min(n_bytes).saturating_sub(range.start);
            entry.source = Source::Stretch(entry.start + range.start);
        }
        Ok(entry)
    }

    fn open_entry(&mut self, entry: &str) -> Result<Entry<'_>, CheckpointError> {
        let full_name = self.full_name(entry);
        let error = |reason: String| CheckpointError::entry(&self.path, entry, reason);
        let file = match self.zip.by_name(&full_name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Err(error("it is missing from the archive".into())),
            Err(other) => return Err(error(quoted(&other.to_string()))),
        };
        if file.compression() != CompressionMethod::Stored || file.size() != file.compressed_size() {
            return Err(error("it is compressed, which PyTorch never does".into()));
        }
        let n_left = file.size();
        let start = file.data_start().filter(|start| start.checked_add(n_left).is_some_and(|end| end <= self.n_bytes));
        let start = start.ok_or_else(|| error("it reaches beyond the end of the file".into()))?;
        let source = Source::Whole(file);
        Ok(Entry { path: &self.path, archive: &self.file, name: entry.to_owned(), start, source, n_left })
    }

    fn full_name(&self, entry: &str) -> String {
        format!("{}/{entry}", self.root)
    }
}

impl Entry<'_> {
    pub(super) fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), CheckpointError> {
        let read = match &mut self.source {
            Source::Whole(file) => file.read_exact(bytes),
            Source::Stretch(position) => {
                let read = self.archive.read_exact_at(bytes, *position);
                *position += bytes.len() as u64;
                read
            }
        };
        read.map_err(|error| self.error(quoted(&error.to_string())))?;
        self.n_left = self.n_left.saturating_sub(bytes.len() as u64);
        Ok(())
    }

    /// All bytes that are left, verified like [`finish`](Self::finish).
    pub(super) fn read_all(mut self) -> Result<Vec<u8>, CheckpointError> {
        let mut bytes = vec![0_u8; self.n_left as usize];
        self.read_exact(&mut bytes)?;
        self.finish()?;
        Ok(bytes)
    }

    /// Ends the reading of all bytes; a whole entry's checksum is verified here.
    pub(super) fn finish(mut self) -> Result<(), CheckpointError> {
        let Source::Whole(file) = &mut self.source else { return Ok(()) };
        match file.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.error("it is longer than it says".into())),
            Err(error) => Err(self.error(quoted(&error.to_string()))),
        }
    }

    fn error(&self, reason: String) -> CheckpointError {
        CheckpointError::entry(self.path, &self.name, reason)
    }
}

/// A pickle of PyTorch's magic number: how files begin that `torch.save` wrote before version 1.6.
const OLD_LAYOUT_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
