use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;

use super::npy::read_npy_from;
use super::{Array, FileError};

/// The name that `numpy.savez` gives an array without one.
pub const NPZ_MEMBER: &str = "arr_0";
/// Largest array read from an archive: compression lets a small file claim any size.
pub const MAX_MEMBER_BYTES: u64 = 256 << 20;

const FORMAT: &str = ".npz";
const MAX_MEMBERS: usize = 1000;

/// Reads the array `name` of a NumPy archive, stored or deflated. Fails where it is missing or larger than
/// [`MAX_MEMBER_BYTES`].
pub fn read_npz(path: &Path, name: &str) -> Result<Array, FileError> {
    let wrong = |reason: &str| FileError::format(path, FORMAT, reason);
    let file = File::open(path).map_err(FileError::read(path))?;
    if file.metadata().map_err(FileError::read(path))?.is_dir() {
        return Err(wrong("it is a folder"));
    }
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| wrong(&error.to_string()))?;
    let n_members = archive.len();
    if n_members > MAX_MEMBERS {
        return Err(wrong(&format!("it has {n_members} members, expected at most {MAX_MEMBERS}")));
    }
    let member = format!("{name}.npy");
    let Some(index) = archive.index_for_name(&member) else {
        let found = archive.file_names().filter_map(|name| Some(format!("{:?}", name.ok()?)));
        let found: Vec<String> = found.take(8).collect();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        return Err(FileError::Missing { path: path.to_owned(), name: name.to_owned(), found });
    };
    let mut member = archive.by_index(index).map_err(|error| wrong(&error.to_string()))?;
    let n_bytes = member.size();
    if n_bytes > MAX_MEMBER_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned(), n_bytes, limit: MAX_MEMBER_BYTES });
    }
    read_npy_from(&mut member, n_bytes, path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    use tempfile::TempDir;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::{FileError, NPZ_MEMBER, read_npz};
    use crate::io::{ArrayData, write_npy};

    fn archive(folder: &TempDir, member: &str, content: &[u8], method: CompressionMethod) -> PathBuf {
        let path = folder.path().join("tokens.npz");
        let mut writer = ZipWriter::new(fs::File::create(&path).expect("a new file"));
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(member, options).expect("a member");
        writer.write_all(content).expect("room");
        writer.finish().expect("a whole archive");
        path
    }

    fn content() -> Vec<u8> {
        let mut bytes = Vec::new();
        write_npy(&mut bytes, &[3], &[5_i64, 6, 7]).expect("memory has room");
        bytes
    }

    #[test]
    fn stored_and_deflated_members_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let path = archive(&folder, "arr_0.npy", &content(), method);
            assert_eq!(read_npz(&path, NPZ_MEMBER).expect("an archive").data, ArrayData::I64(vec![5, 6, 7]));
        }
    }

    #[test]
    fn a_missing_member_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = archive(&folder, "tokens.npy", &content(), CompressionMethod::Stored);
        let message = read_npz(&path, NPZ_MEMBER).expect_err("another name").to_string();
        assert!(message.contains("no array \"arr_0\", only \"tokens.npy\"\n"), "{message}");
    }

    #[test]
    fn a_bomb_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let zeros = vec![0; 300 << 20];
        let path = archive(&folder, "arr_0.npy", &zeros, CompressionMethod::Deflated);
        assert!(fs::metadata(&path).expect("a file").len() < 1 << 20);
        assert!(matches!(read_npz(&path, NPZ_MEMBER), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn flipped_bytes_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = archive(&folder, "arr_0.npy", &content(), CompressionMethod::Deflated);
        let whole = fs::read(&path).expect("a file");
        let expected = read_npz(&path, NPZ_MEMBER).expect("an archive");
        let mut n_refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            fs::write(&path, &bytes).expect("room");
            match read_npz(&path, NPZ_MEMBER) {
                Ok(array) => assert_eq!(array, expected, "byte {at}"),
                Err(error) => {
                    n_refused += 1;
                    assert_eq!(error.to_string().lines().count(), 2, "{error}");
                }
            }
            fs::write(&path, &whole[..at]).expect("room");
            assert!(read_npz(&path, NPZ_MEMBER).is_err(), "cut at {at}");
        }
        assert!(n_refused > whole.len() / 2);
    }
}
