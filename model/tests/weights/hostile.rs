//! Damaged and malicious archives: an error or a result, never a panic, never without end.

use std::io::Write;
use std::path::Path;

use egom2p_model::weights::{Checkpoint, CheckpointError};

use crate::fixture;

/// splitmix64: where and how the fixtures are damaged, the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % bound as u64) as usize
    }
}

fn read_everything(path: &Path) -> Result<usize, CheckpointError> {
    let mut checkpoint = Checkpoint::open(path)?;
    let names: Vec<String> = checkpoint.tensors().keys().cloned().collect();
    let mut n_values = 0;
    for name in names {
        let counted = checkpoint.read_f32(&name, |values| {
            n_values += values.len();
            Ok::<(), CheckpointError>(())
        });
        // A tensor that cannot be read must not keep the others from being tried.
        drop(counted);
    }
    Ok(n_values)
}

fn tried(path: &Path, bytes: &[u8], what: &str) -> bool {
    std::fs::write(path, bytes).unwrap();
    // What never ends is stopped with the test's process, after the minutes that `.config/nextest.toml` grants.
    let read = read_everything(path);
    if let Err(error) = &read {
        assert_eq!(error.to_string().lines().count(), 2, "{what}: {error}");
    }
    read.is_ok()
}

/// The archive rebuilt around another `data.pkl`, with right checksums, so that the pickle reader sees it.
fn with_pickle(fixture: &str, pickle: &[u8]) -> Vec<u8> {
    let archive = std::io::Cursor::new(fixture::bytes(fixture));
    let mut archive = zip::ZipArchive::new(archive).unwrap();
    let mut rebuilt = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for i in 0..archive.len() {
        let entry = archive.by_index(i).unwrap();
        if entry.name().unwrap().ends_with("/data.pkl") {
            rebuilt.start_file(entry.name().unwrap(), options).unwrap();
            rebuilt.write_all(pickle).unwrap();
        } else {
            rebuilt.raw_copy_file(entry).unwrap();
        }
    }
    rebuilt.finish().unwrap().into_inner()
}

fn pickle_of(fixture: &str) -> Vec<u8> {
    let archive = std::io::Cursor::new(fixture::bytes(fixture));
    let mut archive = zip::ZipArchive::new(archive).unwrap();
    let index = (0..archive.len()).find(|&i| archive.by_index(i).unwrap().name().unwrap().ends_with("/data.pkl"));
    let mut pickle = Vec::new();
    std::io::copy(&mut archive.by_index(index.unwrap()).unwrap(), &mut pickle).unwrap();
    pickle
}

#[test]
fn damaged_archives_are_errors_or_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    let mut draws = Draws(1);
    for name in ["model.pth", "gaze.pth", "mixed_layouts.pth", "encoder.jit", "decoder.jit", "old_format.pth"] {
        let whole = fixture::bytes(name);
        for case in 0..250 {
            let mut bytes = whole.clone();
            match case % 5 {
                0 => bytes.truncate(draws.below(whole.len())),
                // The listing at the end is what decides where everything is.
                1 => {
                    let position = whole.len() - 1 - draws.below(whole.len().min(400));
                    bytes[position] = draws.below(256) as u8;
                }
                2 => {
                    let position = draws.below(whole.len() - 8);
                    bytes[position..position + 8].fill([0, 0x7F, 0x80, 0xFF][draws.below(4)]);
                }
                _ => (0..=draws.below(4)).for_each(|_| bytes[draws.below(whole.len())] ^= 1 << draws.below(8)),
            }
            tried(&path, &bytes, &format!("{name}, case {case}"));
        }
    }
}

#[test]
fn damaged_pickles_are_errors_or_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    let mut draws = Draws(2);
    for name in ["model.pth", "model_protocol4.pth", "mixed_layouts.pth", "encoder.jit", "scripted_encoder.jit"] {
        let whole = pickle_of(name);
        assert!(tried(&path, &with_pickle(name, &whole), name), "{name} rebuilt must still be read");
        for case in 0..400 {
            let mut bytes = whole.clone();
            match case % 4 {
                0 => bytes.truncate(draws.below(whole.len())),
                1 => {
                    let position = draws.below(whole.len() - 4);
                    bytes.drain(position..=position + draws.below(4));
                }
                2 => {
                    let position = draws.below(whole.len());
                    bytes.insert(position, draws.below(256) as u8);
                }
                _ => (0..=draws.below(6)).for_each(|_| bytes[draws.below(whole.len())] = draws.below(256) as u8),
            }
            tried(&path, &with_pickle(name, &bytes), &format!("{name}, case {case}"));
        }
    }
}

#[test]
fn pickles_made_to_exhaust_the_reader_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pth");
    let nested_lists = [b"\x80\x02".to_vec(), vec![b']'; 5_000_000], b".".to_vec()].concat();
    let nested_marks = [b"\x80\x02".to_vec(), vec![b'('; 1_000_000], b".".to_vec()].concat();
    let nested_tuples = [b"\x80\x02)".to_vec(), vec![0x85; 3_000_000], b".".to_vec()].concat();
    let remembered = [b"\x80\x04N".to_vec(), vec![0x94; 5_000_000], b".".to_vec()].concat();
    let doubled = [b"\x80\x02N".to_vec(), vec![b'2'; 5_000_000], b".".to_vec()].concat();
    let long_text = b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.".to_vec();
    let long_integer = b"\x80\x02\x8b\xff\xff\xff\xff.".to_vec();
    // A module that is its own child twice: the paths through it double with every level.
    let cycle = b"\x80\x02c__torch__\nM\nq\x00)\x81q\x01}(X\x01\x00\x00\x00ah\x01X\x01\x00\x00\x00bh\x01ub.".to_vec();
    for (name, pickle) in [
        ("nested lists", nested_lists),
        ("nested marks", nested_marks),
        ("nested tuples", nested_tuples),
        ("remembered values", remembered),
        ("doubled values", doubled),
        ("long text", long_text),
        ("long integer", long_integer),
        ("cycle", cycle),
    ] {
        assert!(!tried(&path, &with_pickle("encoder.jit", &pickle), name), "{name} was accepted");
    }
}

#[test]
fn listings_that_claim_too_much_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("listing.pth");
    let whole = fixture::bytes("model.pth");
    let record = whole.windows(4).rposition(|window| window == b"PK\x06\x06").unwrap();
    // Entries on this disk, entries in all, size and position of the listing, each of 64 bits.
    let fields = [record + 24, record + 32, record + 40, record + 48];
    for claimed in [1_u64 << 20, 1 << 32, 1 << 39, 1 << 45, 1 << 56, u64::MAX] {
        for claims in 1..16_usize {
            let mut bytes = whole.clone();
            for (i, &field) in fields.iter().enumerate().filter(|(i, _)| claims & (1 << i) != 0) {
                let value = if i == 2 { claimed.saturating_mul(64) } else { claimed };
                bytes[field..field + 8].copy_from_slice(&value.to_le_bytes());
            }
            tried(&path, &bytes, &format!("claims {claims:b} of {claimed}"));
        }
    }
}

#[test]
fn code_in_other_spellings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.pth");
    let spellings: [(&[u8], &str); 5] = [
        (b"cos\nsystem\n(S'echo'\ntR.", "os.system"),
        (b"(S'echo'\nios\nsystem\n.", "os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x01x\x85R.", "builtins.eval"),
        (b"\x80\x04\x8c\x13torch.serialization\x8c\x09os.system\x93.", "torch.serialization.os.system"),
        (b"\x80\x02cimportlib\nimport_module\n.", "importlib.import_module"),
    ];
    for (pickle, global) in spellings {
        std::fs::write(&path, with_pickle("model.pth", pickle)).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(&error, CheckpointError::RunsCode { global: found, .. } if found == global), "{error}");
    }
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.pth");
    // {"w": _rebuild_tensor_v2(("storage", FloatStorage, "0", "cpu", 12), offset, (shape), (stride), False, {})}
    let record = |n_values: u8, offset: u8, shape: &[u8], stride: &[u8]| {
        let mut pickle = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
        pickle.extend(b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu");
        pickle.extend([b'K', n_values, b't', b'Q', b'K', offset, b'(']);
        pickle.extend(shape);
        pickle.extend(b"t(");
        pickle.extend(stride);
        pickle.extend(b"t\x89}tRs.");
        pickle
    };
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let refused = [
        ("past the end", record(4, 1, b"K\x04", b"K\x01")),
        ("expanded", record(4, 0, b"K\x10", b"K\x00")),
        ("huge shape", record(4, 0, &[&huge[..], huge].concat(), b"K\x00K\x00")),
        ("huge stride", record(4, 0, b"K\x02K\x02", &[&huge[..], huge].concat())),
        ("negative stride", record(4, 3, b"K\x04", b"J\xff\xff\xff\xff")),
        ("axes without strides", record(4, 0, b"K\x02K\x02", b"K\x01")),
    ];
    for (name, pickle) in refused {
        std::fs::write(&path, with_pickle("model.pth", &pickle)).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Tensor { .. }), "{name}: {error}");
    }
    // The first storage of this fixture has four values.
    std::fs::write(&path, with_pickle("model.pth", &record(200, 0, b"K\x04", b"K\x01"))).unwrap();
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    let error = checkpoint.read_f32("w", |_| Ok::<(), CheckpointError>(())).unwrap_err().to_string();
    assert!(error.starts_with("entry data/0 of ") && error.contains("it has 16 bytes, expected 800"), "{error}");
    std::fs::write(&path, with_pickle("model.pth", &record(4, 1, b"K\x03", b"K\x01"))).unwrap();
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    let mut view = Vec::new();
    checkpoint
        .read_f32("w", |values| {
            view.extend_from_slice(values);
            Ok::<(), CheckpointError>(())
        })
        .unwrap();
    assert_eq!(view, fixture::values("mask_token", 4)[1..]);
}
