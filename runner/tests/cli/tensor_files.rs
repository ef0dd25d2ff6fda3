//! Small files of arrays and tensors, sound and hostile.

use egom2p::io::write_npy;
use egom2p_model::Preset;
use safetensors::{Dtype, tensor::TensorView};

/// A NumPy file of 64-bit integers.
pub(crate) fn npy(shape: &[usize], values: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_npy(&mut bytes, shape, values).expect("the shape is that of the values");
    bytes
}

/// A NumPy file with tokens of a clip of `egom2p-tiny`.
pub(crate) fn rgb_tokens() -> Vec<u8> {
    let video = Preset::Tiny.config().video;
    npy(&video.grid(), &vec![1; video.n_tokens()])
}

/// A NumPy file with any header.
pub(crate) fn npy_with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
}

/// A safetensors file.
pub(crate) fn safetensors(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("the shape is that of the bytes"))
    });
    safetensors::serialize(views, None).expect("sound tensors")
}

/// Little-endian 64-bit integers.
pub(crate) fn words(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
