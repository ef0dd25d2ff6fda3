//! Where bytes come from: files of this machine, or an object store.

mod local;
#[cfg(feature = "object-store")]
pub(super) mod object;

use std::fmt;
use std::io::{self, Read};

use super::DataError;
use local::LocalFiles;

/// How much of a file is going to be read, which says how much to ask for at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Amount {
    /// Most of it.
    All,
    /// About as many bytes.
    Bytes(u64),
}

impl Amount {
    /// The size of the blocks to read in, where blocks of a whole file have `most` bytes.
    fn block_bytes(self, most: u64) -> u64 {
        match self {
            Self::All => most,
            Self::Bytes(n_bytes) => n_bytes.clamp(1, most),
        }
    }
}

/// A place with files that are read from any byte on.
pub(super) trait Store: Send + Sync + fmt::Debug {
    /// The content of a file from a byte on, streamed.
    fn open(&self, path: &str, offset: u64, amount: Amount) -> io::Result<Box<dyn Read>>;

    /// The names of the files of a folder, in any order; what is not a file is left out.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// The store of a path or of an address `SCHEME://`.
pub(super) fn open(path: &str) -> Result<Box<dyn Store>, DataError> {
    match path.split_once("://") {
        None => Ok(Box::new(LocalFiles)),
        Some(_) => open_address(path),
    }
}

#[cfg(feature = "object-store")]
fn open_address(url: &str) -> Result<Box<dyn Store>, DataError> {
    Ok(Box::new(object::ObjectFiles::open(url)?))
}

#[cfg(not(feature = "object-store"))]
fn open_address(url: &str) -> Result<Box<dyn Store>, DataError> {
    Err(DataError::Store {
        url: url.to_owned(),
        reason: "this program was built without object stores".to_owned(),
        help: "build it with the feature object-store, or copy the shards to this machine",
    })
}
