use crate::Result;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use egom2p_engine_core::{Digest, EngineError};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that a thread reads and hashes at a time. A power of two, so that blocks are subtrees of the hash.
const BLOCK_BYTES: usize = 4 << 20;
const N_THREADS: usize = 2;

/// The BLAKE3 digest of a file, and its size in bytes. Large files are read by two threads.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    hash(path).map_err(|source| {
        EngineError::Read { path: path.to_owned(), source, mend: "check that the file is there and can be read" }.into()
    })
}

fn hash(path: &Path) -> io::Result<(Digest, u64)> {
    let n_bytes = path.metadata()?.len();
    let n_blocks = n_bytes.div_ceil(BLOCK_BYTES as u64) as usize;
    if n_blocks <= 1 {
        let mut hasher = blake3::Hasher::new();
        let n_read = io::copy(&mut File::open(path)?, &mut hasher)?;
        return Ok((Digest::from_bytes(hasher.finalize().into()), n_read));
    }
    let mut parts: Vec<Vec<ChainingValue>> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..N_THREADS).map(|first| scope.spawn(move || blocks(path, first, n_bytes, n_blocks))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| io::Error::other("a hashing thread stopped"))?)
            .collect::<io::Result<_>>()
    })?;
    let mut values = Vec::with_capacity(n_blocks);
    for i in 0..n_blocks {
        values.push(parts[i % N_THREADS][i / N_THREADS]);
    }
    parts.clear();
    let (left, right) = values.split_at(left_len(values.len()));
    let root = merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
    Ok((Digest::from_bytes(root.into()), n_bytes))
}

/// Chaining values of the blocks `first`, `first + N_THREADS`, … of a file.
fn blocks(path: &Path, first: usize, n_bytes: u64, n_blocks: usize) -> io::Result<Vec<ChainingValue>> {
    let mut file = File::open(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut values = Vec::with_capacity(n_blocks.div_ceil(N_THREADS));
    for i in (first..n_blocks).step_by(N_THREADS) {
        let offset = i as u64 * BLOCK_BYTES as u64;
        let block = &mut block[..(n_bytes - offset).min(BLOCK_BYTES as u64) as usize];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(block)?;
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset).update(block);
        values.push(hasher.finalize_non_root());
    }
    Ok(values)
}

/// The chaining value of a run of blocks: BLAKE3's tree is complete on the left.
fn subtree(values: &[ChainingValue]) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let (left, right) = values.split_at(left_len(values.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The largest power of two below the number of blocks.
fn left_len(n_blocks: usize) -> usize {
    n_blocks.next_power_of_two() / 2
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::{BLOCK_BYTES, digest_file};
    use std::fs;

    #[test]
    fn equals_the_plain_digest_for_every_shape_of_tree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let data: Vec<u8> = (0..5 * BLOCK_BYTES + 7).map(|i| ((i * 31) >> 7) as u8).collect();
        for n_bytes in
            [0, 1, 1024, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, 3 * BLOCK_BYTES, data.len()]
        {
            fs::write(&path, &data[..n_bytes]).unwrap();
            let (digest, size) = digest_file(&path).unwrap();
            assert_eq!(digest.as_bytes(), blake3::hash(&data[..n_bytes]).as_bytes(), "{n_bytes} bytes");
            assert_eq!(size, n_bytes as u64);
        }
    }
}
