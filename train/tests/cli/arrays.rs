//! Files of arrays as other programs write them, damaged ones among them.

use egom2p::io::write_npy;
use std::{fs, io::Write as _, path::Path};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Values of a type that archives hold.
pub(crate) enum Values<'a> {
    U8(&'a [u8]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
}

/// The bytes of a NumPy archive of one array.
pub(crate) fn npz(name: &str, shape: &[usize], values: &Values<'_>) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
    match values {
        Values::U8(values) => write_npy(&mut archive, shape, values),
        Values::I64(values) => write_npy(&mut archive, shape, values),
        Values::F32(values) => write_npy(&mut archive, shape, values),
        Values::F64(values) => write_npy(&mut archive, shape, values),
    }
    .unwrap();
    archive.finish().unwrap().into_inner()
}

/// A shard whose members are the given ones.
pub(crate) fn write_tar(path: &Path, members: &[(String, Vec<u8>)]) {
    let mut bytes = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        bytes.append_data(&mut header, name, &content[..]).unwrap();
    }
    fs::File::create(path).unwrap().write_all(&bytes.into_inner().unwrap()).unwrap();
}

/// The members of a shard.
pub(crate) fn read_tar(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let member = |entry: std::io::Result<tar::Entry<'_, fs::File>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    };
    archive.entries().unwrap().map(member).collect()
}
