use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::{Amount, Store};

/// How much of a file is read at once.
const BLOCK_BYTES: u64 = 256 << 10;

/// Files of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalFiles;

impl Store for LocalFiles {
    fn open(&self, path: &str, offset: u64, amount: Amount) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(Box::new(BufReader::with_capacity(amount.block_bytes(BLOCK_BYTES) as usize, file)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // A name that is not text cannot be a sample's.
            if let (Ok(name), false) = (entry.file_name().into_string(), entry.file_type()?.is_dir()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}
