//! SHA-256 digests, the ones that publishers of files print.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// SHA-256 of a file as hexadecimal digits.
pub(super) fn of_file(path: &Path) -> Result<String> {
    let unreadable = || format!("{} cannot be read\ncheck that it exists and its permissions", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).with_context(unreadable)? {
            0 => break,
            n_bytes => digest.update(&buffer[..n_bytes]),
        }
    }
    Ok(hexadecimal(&digest.finalize()))
}

/// SHA-256 over names and contents in the order given, as hexadecimal digits. Every part is preceded by its length, so
/// that no other list gives the same bytes.
pub(super) fn of_list<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut digest = Sha256::new();
    for part in files.into_iter().flat_map(|(name, content)| [name.as_bytes(), content]) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    hexadecimal(&digest.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{of_file, of_list};

    #[test]
    fn digests_are_hexadecimal_sha256() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("abc");
        fs::write(&path, "abc").expect("the folder is writable");
        assert_eq!(
            of_file(&path).expect("the file is readable"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn names_and_contents_do_not_run_into_each_other() {
        let lists = [vec![("ab", &b"c"[..])], vec![("a", b"bc")], vec![("a", b"b"), ("", b"c")], vec![("ab", b"d")]];
        let mut digests: Vec<_> = lists.map(of_list).into();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 4);
    }
}
