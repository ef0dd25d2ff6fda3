//! Small Matroska files of uncompressed pictures, with any size and any time stamps.

use std::{fs, path::Path};

/// Writes RGB pictures `[height, width, 3]`, each with its time in milliseconds.
pub(crate) fn write(path: &Path, (width, height): (u32, u32), pictures: &[(u64, Vec<u8>)], duration_ms: u64) {
    let video = [unsigned(0xB0, width.into()), unsigned(0xBA, height.into()), element(0x2E_B524, b"RGB\x18")].concat();
    let track = [
        unsigned(0xD7, 1),
        unsigned(0x73C5, 1),
        unsigned(0x83, 1),
        unsigned(0x9C, 0),
        element(0x86, b"V_UNCOMPRESSED"),
        element(0xE0, &video),
    ];
    let information = [
        unsigned(0x2A_D7B1, 1_000_000),
        element(0x4489, &(duration_ms as f64).to_be_bytes()),
        element(0x4D80, b"tests"),
        element(0x5741, b"tests"),
    ];
    let clusters = pictures.iter().flat_map(|(time_ms, rgb)| {
        let block = [&[0x81, 0, 0, 0x80], rgb.as_slice()].concat();
        element(0x1F43_B675, &[unsigned(0xE7, *time_ms), element(0xA3, &block)].concat())
    });
    let segment = [element(0x1549_A966, &information.concat()), element(0x1654_AE6B, &element(0xAE, &track.concat()))];
    let segment: Vec<u8> = segment.concat().into_iter().chain(clusters).collect();
    let header = [
        unsigned(0x4286, 1),
        unsigned(0x42F7, 1),
        element(0x4282, b"matroska"),
        unsigned(0x4287, 4),
        unsigned(0x4285, 2),
    ];
    let file = [element(0x1A45_DFA3, &header.concat()), element(0x1853_8067, &segment)].concat();
    fs::write(path, file).expect("the folder of a test can be written");
}

/// An element: its identifier as it is printed in the specification, an eight-byte length and its content.
fn element(identifier: u32, content: &[u8]) -> Vec<u8> {
    let identifier = identifier.to_be_bytes().into_iter().skip_while(|byte| *byte == 0);
    let length = (content.len() as u64 | 1 << 56).to_be_bytes();
    identifier.chain(length).chain(content.iter().copied()).collect()
}

fn unsigned(identifier: u32, value: u64) -> Vec<u8> {
    element(identifier, &value.to_be_bytes())
}
