use std::io::{self, Cursor, Write};

use egom2p_model::Modality;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::TokenLayout;
use super::npy::{self, ArrayHeader, MAX_HEADER_BYTES, Width, one_line};

/// The name that `numpy.savez` gives an array without one.
const MEMBER: &str = "arr_0.npy";
const MAX_MEMBERS: usize = 100;

/// Why an `.npz` gives no tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NpzFault {
    /// It cannot be unpacked.
    Corrupt(String),
    /// It holds something else than the model's tokens.
    Array(String),
}

/// The tokens of a modality out of the bytes of an `.npz`: `arr_0`, in the model's shape, flat, or with a leading axis
/// of 1. Bounds come before allocation: the archive claims what it likes, the array has the model's size.
pub(super) fn read_tokens(bytes: &[u8], layout: &TokenLayout, modality: Modality) -> Result<Vec<u32>, NpzFault> {
    let corrupt = |error: zip::result::ZipError| NpzFault::Corrupt(one_line(&error.to_string()));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(corrupt)?;
    let n_members = archive.len();
    if n_members > MAX_MEMBERS {
        return Err(NpzFault::Corrupt(format!("it has {n_members} members, expected at most {MAX_MEMBERS}")));
    }
    let index = archive.index_for_name(MEMBER).ok_or_else(|| NpzFault::Array("it has no array arr_0".to_owned()))?;
    let mut member = archive.by_index(index).map_err(corrupt)?;
    let limit = (8 * layout.n_tokens(modality) + MAX_HEADER_BYTES + 12) as u64;
    if member.size() > limit {
        return Err(NpzFault::Array(format!("the array takes {} bytes, expected at most {limit}", member.size())));
    }
    let header = ArrayHeader::read(&mut member).map_err(NpzFault::Array)?;
    let shape = layout.shape(modality);
    let fits = header.shape == shape
        || header.shape == [layout.n_tokens(modality)]
        || header.shape.strip_prefix(&[1]).is_some_and(|rest| rest == shape);
    if !fits {
        return Err(NpzFault::Array(format!("the array has shape {:?}, expected {shape:?}", header.shape)));
    }
    let values = header.values(&mut member).map_err(NpzFault::Corrupt)?;
    let vocabulary = layout.vocabulary(modality);
    let token = |(index, value): (usize, i64)| match u32::try_from(value) {
        Ok(token) if (token as usize) < vocabulary => Ok(token),
        _ => Err(NpzFault::Array(format!(
            "the token {value} at index {index}, expected 0 to {}",
            vocabulary.saturating_sub(1)
        ))),
    };
    values.into_iter().enumerate().map(token).collect()
}

/// An `.npz` with the array `arr_0`, deflated, as `numpy.savez_compressed` writes it: i32 for video, i64 for camera and
/// gaze. The same tokens give the same bytes.
pub(super) fn write_tokens(layout: &TokenLayout, modality: Modality, tokens: &[i64]) -> io::Result<Vec<u8>> {
    let width = if modality.is_video() { Width::I32 } else { Width::I64 };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    archive.start_file(MEMBER, options)?;
    let mut content = Vec::new();
    npy::write(&mut content, width, layout.shape(modality), tokens)?;
    archive.write_all(&content)?;
    Ok(archive.finish()?.into_inner())
}
