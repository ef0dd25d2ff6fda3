use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::data::tar::BLOCK_BYTES;

/// The numbers of the shards of a folder, ascending.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix("shard-")?.strip_suffix(".tar"));
        numbers.extend(name.filter(|digits| digits.len() == 6).and_then(|digits| digits.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The samples of a shard in their order; `None` unless it is there and whole. Only headers are read.
pub(super) fn keys(path: &Path) -> Option<Vec<String>> {
    let file = File::open(path).ok()?;
    let n_bytes = file.metadata().ok()?.len();
    let mut archive = tar::Archive::new(file);
    let (mut keys, mut end) = (Vec::new(), 0);
    for entry in archive.entries_with_seek().ok()? {
        let entry = entry.ok()?;
        end = entry.raw_file_position().checked_add(entry.size().checked_next_multiple_of(BLOCK_BYTES as u64)?)?;
        keys.push(entry.path().ok()?.to_str()?.strip_suffix(".npz")?.to_owned());
    }
    // Two empty blocks end the file.
    (n_bytes >= end + 2 * BLOCK_BYTES as u64).then_some(keys)
}
