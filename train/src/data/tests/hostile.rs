use std::io::{Cursor, Write};

use egom2p_model::Modality::{Camera, Gaze, Rgb};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::damage::archive;
use super::fixture::{layout, npz, tokens};
use crate::data::npz::{NpzFault, read_tokens};

fn with_header(dictionary: &str) -> Vec<u8> {
    let mut content = b"\x93NUMPY\x01\x00".to_vec();
    content.extend((dictionary.len() as u16).to_le_bytes());
    content.extend(dictionary.as_bytes());
    content.extend([0; 64]);
    archive(&content)
}

fn fault(bytes: &[u8]) -> String {
    match read_tokens(bytes, &layout(), Gaze).expect_err("hostile") {
        NpzFault::Corrupt(reason) | NpzFault::Array(reason) => reason,
    }
}

/// Shapes of exabytes would end the process if they were allocated.
#[test]
fn huge_shapes_are_refused() {
    for shape in ["(1000000000000000000,)", "(4294967296, 4294967296, 4294967296)", "(18446744073709551615,)"] {
        let reason = fault(&with_header(&format!("{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}")));
        assert!(reason.contains("has shape"), "{reason}");
    }
    let reason = fault(&with_header("{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999999999,), }"));
    assert!(reason.contains("not a number"), "{reason}");
    let axes = "1, ".repeat(40);
    let reason = fault(&with_header(&format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({axes}), }}")));
    assert!(reason.contains("more than 32 axes"), "{reason}");
}

#[test]
fn bombs_are_refused_whether_they_admit_their_size_or_not() {
    let mut content = Vec::new();
    let n = layout().n_tokens(Gaze);
    crate::data::npy::write(&mut content, crate::data::npy::Width::I64, &[n], &tokens("a", Gaze))
        .expect("memory has room");
    let n_bytes = content.len() as u32;
    content.resize(300 << 20, 0);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    writer.start_file("arr_0.npy", options).expect("memory has room");
    writer.write_all(&content).expect("memory has room");
    let mut bomb = writer.finish().expect("memory has room").into_inner();
    assert!(bomb.len() < 1 << 20);
    let reason = fault(&bomb);
    assert!(reason.contains("the array takes 314572800 bytes"), "{reason}");
    // The same with the size of a good array in both headers.
    let claimed = (300_u32 << 20).to_le_bytes();
    let mut n_changed = 0;
    for at in 0..bomb.len() - 4 {
        if bomb[at..at + 4] == claimed {
            bomb[at..at + 4].copy_from_slice(&n_bytes.to_le_bytes());
            n_changed += 1;
        }
    }
    assert_eq!(n_changed, 2);
    let reason = fault(&bomb);
    assert!(reason.contains("larger than its declared"), "{reason}");
}

#[test]
fn headers_that_are_none_are_refused() {
    for (dictionary, expected) in [
        ("", "lacks a \"{\""),
        ("{'descr': '<i8'}", "not whole"),
        ("{'descr': '<i8', 'descr': '<i8'}", "twice"),
        ("{'descr': 'O', 'fortran_order': False, 'shape': (30,)}", "type \"O\""),
        ("{'descr': '<i8', 'fortran_order': True, 'shape': (5, 6)}", "Fortran"),
        ("{'descr': '<i8', 'fortran_order': 1, 'shape': (5, 6)}", "lacks a \"False\""),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (-5,)}", "not a number"),
        ("{'descr': '<i8', 'fortran_order': False, 'shape': (5,)} import os", "not whole"),
        ("{'descr': \"<i8", "open string"),
        ("{'code': 'x'}", "not known"),
    ] {
        let reason = fault(&with_header(dictionary));
        assert!(reason.contains(expected), "{dictionary}: {reason}");
    }
}

/// Written by NumPy and Python's `tarfile`; the recipe is `numpy_shard.py`.
#[test]
fn shards_of_numpy_are_read() {
    use crate::data::tar::TarReader;
    let config = egom2p_model::Preset::Base.config();
    let layout = crate::data::TokenLayout::new(&config);
    let mut shard = TarReader::new(Box::new(&include_bytes!("numpy_shard.tar")[..]), 0, 1 << 20);
    let mut names = Vec::new();
    while let Some(member) = shard.next().expect("a whole shard") {
        let content = member.content.expect("small members");
        let modality = if member.name.contains("video") { Rgb } else { Camera };
        let (limit, n) = (layout.vocabulary(modality) as u32, layout.n_tokens(modality) as u32);
        let expected: Vec<u32> = (0..n).map(|i| i * 7 % limit).collect();
        assert_eq!(read_tokens(&content, &layout, modality), Ok(expected), "{}", member.name);
        names.push(member.name);
    }
    let long = format!("{}_motion.npz", "n".repeat(150));
    assert_eq!(names, ["video.npz", "stored_video.npz", "motion.npz", &long]);
}

proptest! {
    #[test]
    fn flipped_and_cut_archives_give_the_tokens_or_an_error(at in 0_usize..400, mask in 1_u8.., cut in 0_usize..400) {
        let whole = npz("a", Gaze);
        let expected: Vec<u32> = tokens("a", Gaze).into_iter().map(|token| token as u32).collect();
        let mut flipped = whole.clone();
        flipped[at % whole.len()] ^= mask;
        if let Ok(found) = read_tokens(&flipped, &layout(), Gaze) {
            prop_assert_eq!(found, expected);
        }
        prop_assert!(read_tokens(&whole[..cut % whole.len()], &layout(), Gaze).is_err());
    }
}
