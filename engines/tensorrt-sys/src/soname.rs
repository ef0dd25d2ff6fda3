use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const PROGRAM_HEADER_BYTES: usize = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
/// Bounds on what a file may claim.
const MAX_DYNAMIC_BYTES: u64 = 1 << 20;
const MAX_NAME_BYTES: u64 = 256;

/// The name that a shared library has for the loader (`DT_SONAME`), read from the file, without loading it; `None`
/// if the file has none or is no 64-bit little-endian ELF file.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut header = [0; 64];
    if file.read_exact(&mut header).is_err() || header[..6] != *b"\x7fELF\x02\x01" {
        return Ok(None);
    }
    let n_segments = usize::from(u16::from_le_bytes([header[56], header[57]]));
    let entry_bytes = usize::from(u16::from_le_bytes([header[54], header[55]]));
    if entry_bytes != PROGRAM_HEADER_BYTES {
        return Ok(None);
    }
    let table = bytes_at(&mut file, u64_at(&header, 32), n_segments * entry_bytes)?;
    let segments: Vec<Segment> = table.chunks_exact(entry_bytes).map(Segment::read).collect();
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else { return Ok(None) };
    let entries = bytes_at(&mut file, dynamic.offset, dynamic.bytes.min(MAX_DYNAMIC_BYTES) as usize)?;
    let (mut strings, mut name) = (None, None);
    for entry in entries.chunks_exact(16) {
        match u64_at(entry, 0) {
            DT_NULL => break,
            DT_STRTAB => strings = Some(u64_at(entry, 8)),
            DT_SONAME => name = Some(u64_at(entry, 8)),
            _ => {}
        }
    }
    let Some(address) = strings.zip(name).and_then(|(strings, name)| strings.checked_add(name)) else {
        return Ok(None);
    };
    let Some(offset) = segments.iter().find_map(|segment| segment.offset_of(address)) else { return Ok(None) };
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(MAX_NAME_BYTES).read_to_end(&mut text)?;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    Ok(Some(String::from_utf8_lossy(&text[..end]).into_owned()))
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    bytes: u64,
}

impl Segment {
    fn read(entry: &[u8]) -> Self {
        let kind = u64_at(entry, 0) as u32;
        Self { kind, offset: u64_at(entry, 8), address: u64_at(entry, 16), bytes: u64_at(entry, 32) }
    }

    fn offset_of(&self, address: u64) -> Option<u64> {
        let within = address.checked_sub(self.address).filter(|within| *within < self.bytes)?;
        if self.kind == PT_LOAD { self.offset.checked_add(within) } else { None }
    }
}

fn bytes_at(file: &mut File, offset: u64, n_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(n_bytes as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic where they fail")]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_no_library_has_no_name() {
        for bytes in [&b""[..], b"text", &[b"\x7fELF\x02\x01".as_slice(), &[0xff; 58]].concat()] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            assert_eq!(read(file.path()).unwrap(), None);
        }
    }

    #[test]
    fn damaged_libraries_do_no_harm() {
        let library = std::env::current_exe().unwrap();
        let mut whole = vec![0; 4096];
        File::open(library).unwrap().read_exact(&mut whole).unwrap();
        for at in 0..512 {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&damaged).unwrap();
            let _ = read(file.path());
        }
    }
}
