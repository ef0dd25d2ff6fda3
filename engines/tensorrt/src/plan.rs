//! What the first bytes of an engine's file tell, before the library sees it: it does not survive every damaged file.

use crate::family::RTX;
use egom2p_engine_core::{EngineError, Result};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

const MEND: &str = "build the engine again with \"egom2p build --force\"";
/// Bytes of the header of an engine of TensorRT for RTX, up to the end of its table of sections.
const HEADER_BYTES: usize = 0x70;
/// Where that header names the size of the file.
const SIZE_AT: usize = 0x10;
/// Where it names the version of the library, one byte for each of four numbers.
const VERSION_AT: usize = 0x18;
/// Where it has the entries of its sections: four letters, four zero bytes, the place, and the size.
const SECTIONS_AT: [usize; 2] = [0x40, 0x58];

/// Checks the size of an engine's file and what its header says. Of engines of TensorRT 10 and 11 only the four letters
/// that they begin with are known.
pub(crate) fn check(path: &Path, backend: &str, expected_bytes: Option<u64>) -> Result<()> {
    let read = |source| EngineError::Read { path: path.to_owned(), source, mend: MEND };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let file = File::open(path).map_err(read)?;
    let n_bytes = file.metadata().map_err(read)?.len();
    file.take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(read)?;
    let checked = match expected_bytes {
        Some(expected) if expected != n_bytes => Err(format!("it has {n_bytes} bytes, its record says {expected}")),
        _ => check_header(&header, n_bytes, backend),
    };
    checked.map_err(|what| EngineError::Manifest { path: path.to_owned(), what, mend: MEND })
}

/// The version of TensorRT for RTX that wrote an engine, such as `1.7.1`, by its header.
pub(crate) fn rtx_version(path: &Path) -> Option<String> {
    let mut header = [0; VERSION_AT + 4];
    File::open(path).ok()?.read_exact(&mut header).ok()?;
    let [.., major, minor, patch, _] = header;
    Some(format!("{major}.{minor}.{patch}"))
}

fn check_header(header: &[u8], n_bytes: u64, backend: &str) -> Result<(), String> {
    if backend != RTX.name {
        return match header.get(1..4) {
            Some(b"trt") => Ok(()),
            _ => Err("it does not begin as an engine of TensorRT".to_owned()),
        };
    }
    if !header.starts_with(b"vtrt\0\0\0\0") {
        return Err("it does not begin as an engine of TensorRT for RTX".to_owned());
    }
    let word = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    match word(SIZE_AT) {
        Some(size) if size == n_bytes && header.len() == HEADER_BYTES => {}
        Some(size) if size != n_bytes => return Err(format!("it has {n_bytes} bytes, its header says {size}")),
        _ => return Err(format!("it has {n_bytes} bytes and ends inside its header")),
    }
    for at in SECTIONS_AT {
        let end = word(at + 8).zip(word(at + 16)).and_then(|(place, size)| place.checked_add(size));
        if end.is_none_or(|end| end > n_bytes) {
            return Err("its header names a section that lies outside of the file".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;

    /// The header of an engine of 13 MB that TensorRT for RTX 1.7.1.116 wrote.
    const HEADER: [u64; 14] = [
        0x7472_7476,
        2,
        0x00cf_5464,
        0x7472_7476_7401_0701,
        4,
        0,
        0,
        0x009b_3580,
        0x454e_474e,
        0x70,
        0x0034_1e6c,
        0x5747_4854,
        0x0034_1ee0,
        0x009b_3580,
    ];
    const N_BYTES: u64 = 0x00cf_5464;

    fn header() -> Vec<u8> {
        HEADER.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn error(header: &[u8], n_bytes: u64) -> String {
        check_header(header, n_bytes, "tensorrt-rtx").unwrap_err()
    }

    #[test]
    fn a_header_must_fit_its_file() {
        check_header(&header(), N_BYTES, "tensorrt-rtx").unwrap();
        assert_eq!(error(&header(), N_BYTES - 1), "it has 13587555 bytes, its header says 13587556");
        assert_eq!(error(b"", 0), "it does not begin as an engine of TensorRT for RTX");
        assert_eq!(error(b"PK\x03\x04 and so on", 13), "it does not begin as an engine of TensorRT for RTX");
        for end in 8..HEADER_BYTES {
            assert!(check_header(&header()[..end], end as u64, "tensorrt-rtx").is_err(), "{end}");
        }
        for at in SECTIONS_AT {
            for place in [at + 8, at + 16] {
                let mut damaged = header();
                damaged[place..place + 8].fill(0xff);
                assert_eq!(error(&damaged, N_BYTES), "its header names a section that lies outside of the file");
            }
        }
    }

    #[test]
    fn engines_of_tensorrt_begin_with_its_letters() {
        check_header(b"ptrt and so on", 14, "tensorrt").unwrap();
        for wrong in [&b""[..], b"ptr", b"ELF."] {
            assert!(check_header(wrong, wrong.len() as u64, "tensorrt").is_err());
        }
    }

    #[test]
    fn files_are_read_and_their_size_is_compared_with_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.engine");
        let mut bytes = header();
        bytes[SIZE_AT..SIZE_AT + 8].copy_from_slice(&(HEADER_BYTES as u64 + 8).to_le_bytes());
        for at in SECTIONS_AT {
            bytes[at + 8..at + 24].fill(0);
        }
        bytes.extend([0; 8]);
        std::fs::write(&path, &bytes).unwrap();
        check(&path, "tensorrt-rtx", Some(120)).unwrap();
        assert_eq!(rtx_version(&path).as_deref(), Some("1.7.1"));
        let text = check(&path, "tensorrt-rtx", Some(121)).unwrap_err().to_string();
        assert!(text.contains("a.engine is not valid: it has 120 bytes, its record says 121\n"), "{text}");
        std::fs::write(&path, &bytes[..100]).unwrap();
        assert!(check(&path, "tensorrt-rtx", None).unwrap_err().to_string().contains("it has 100 bytes"));
        assert!(matches!(check(&folder.path().join("b"), "tensorrt-rtx", None), Err(EngineError::Read { .. })));
    }
}
