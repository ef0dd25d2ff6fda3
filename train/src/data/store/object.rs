use std::io::{self, Read};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, parse_url_opts};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::{Amount, Store};
use crate::data::DataError;
use crate::data::decoders::not_started;

/// How much of an object is read with one request. Requests are short, so that a training that reads slowly never holds
/// a connection open.
const BLOCK_BYTES: u64 = 2 << 20;
/// What the names of the variables start with that settings and credentials of object stores come from.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// The objects of a bucket.
#[derive(Debug)]
pub(crate) struct ObjectFiles {
    /// What the addresses of its objects start with, such as `s3://BUCKET/`.
    root: String,
    bucket: Arc<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    store: Box<dyn ObjectStore>,
    runtime: Runtime,
}

impl ObjectFiles {
    /// The bucket of an address, with settings and credentials from the variables of the environment.
    pub(super) fn open(address: &str) -> Result<Self, DataError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| VARIABLES.iter().any(|start| name.starts_with(start)))?;
            Some((name.to_ascii_lowercase(), value.into_string().ok()?))
        });
        Self::open_with(address, variables)
    }

    /// The same with these settings and credentials.
    pub(crate) fn open_with(
        address: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, DataError> {
        let root = address.split_inclusive('/').take(3).collect::<String>();
        let wrong = |reason: String| DataError::Store {
            url: root.clone(),
            reason: crate::data::npy::one_line(&reason),
            help: "use an address such as s3://BUCKET/PREFIX, and set the variables with its credentials",
        };
        let url = Url::parse(&root).map_err(|error| wrong(error.to_string()))?;
        let (store, _) = parse_url_opts(&url, variables).map_err(|error| wrong(error.to_string()))?;
        Self::new(&root, store)
    }

    /// The objects of a store whose addresses start with `root`.
    pub(crate) fn new(root: &str, store: Box<dyn ObjectStore>) -> Result<Self, DataError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("objects").enable_all().build();
        let runtime = runtime.map_err(|error| not_started(&error))?;
        Ok(Self { root: root.to_owned(), bucket: Arc::new(Bucket { store, runtime }) })
    }

    fn path(&self, address: &str) -> Path {
        Path::from(address.strip_prefix(&self.root).unwrap_or(address))
    }
}

impl Store for ObjectFiles {
    fn open(&self, address: &str, offset: u64, amount: Amount) -> io::Result<Box<dyn Read>> {
        let (path, block_bytes) = (self.path(address), amount.block_bytes(BLOCK_BYTES));
        let bucket = Arc::clone(&self.bucket);
        let first = bucket.read(&path, offset, block_bytes);
        let (block, n_bytes) = match first {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // A range behind the end is an error of every store's own; it is the end.
                let n_bytes = bucket.runtime.block_on(bucket.store.head(&path)).map_err(io_error)?.size;
                if n_bytes > offset {
                    return Err(error);
                }
                (Vec::new(), n_bytes)
            }
            first => first?,
        };
        let next = offset.saturating_add(block.len() as u64);
        Ok(Box::new(Blocks { bucket, path, n_bytes, block_bytes, next, block: io::Cursor::new(block) }))
    }

    fn list(&self, address: &str) -> io::Result<Vec<String>> {
        let prefix = self.path(address);
        let found = self.bucket.runtime.block_on(self.bucket.store.list_with_delimiter(Some(&prefix)));
        let objects = found.map_err(io_error)?.objects;
        Ok(objects.iter().filter_map(|object| Some(object.location.filename()?.to_owned())).collect())
    }
}

/// An object that is read block by block.
struct Blocks {
    bucket: Arc<Bucket>,
    path: Path,
    n_bytes: u64,
    block_bytes: u64,
    next: u64,
    block: io::Cursor<Vec<u8>>,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.block.read(buffer)?;
        if n > 0 || buffer.is_empty() || self.next >= self.n_bytes {
            return Ok(n);
        }
        let (block, n_bytes) = self.bucket.read(&self.path, self.next, self.block_bytes)?;
        if block.is_empty() || n_bytes != self.n_bytes {
            return Err(io::Error::other("it changed while it was read"));
        }
        self.next += block.len() as u64;
        self.block = io::Cursor::new(block);
        self.block.read(buffer)
    }
}

impl Bucket {
    /// As many bytes of an object as there are, up to this number, and the size of the object.
    fn read(&self, path: &Path, offset: u64, n_bytes: u64) -> io::Result<(Vec<u8>, u64)> {
        let range = Some(GetRange::Bounded(offset..offset.saturating_add(n_bytes)));
        let get = async {
            let found = self.store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await?;
            let n_bytes = found.meta.size;
            Ok((found.bytes().await?.into(), n_bytes))
        };
        self.runtime.block_on(get).map_err(io_error)
    }
}

fn io_error(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
        other => io::Error::other(other),
    }
}
