use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use egom2p_model::Modality::{self, Camera, Gaze, Rgb};

use super::fixture::{key, layout, sample_tokens};
use crate::data::{DataError, ShardSettings, ShardWriter};

/// What it is called, and what does it.
type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>);

const MODALITIES: [Modality; 2] = [Camera, Rgb];

fn open(root: &Path) -> Result<ShardWriter, DataError> {
    let (root, dataset, modalities) = (root.to_owned(), "a".to_owned(), MODALITIES.to_vec());
    ShardWriter::open(ShardSettings { root, dataset, modalities, n_samples: 4 }, &layout())
}

fn append_up_to(writer: &mut ShardWriter, n: usize) {
    for key in (0..n).map(|index| key("a", index)) {
        if !writer.contains(&key) {
            writer.append(&key, &sample_tokens(&key, &MODALITIES)).expect("room");
        }
    }
}

/// All files with their content.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let folders = ["cam", "rgb"].map(|modality| root.join(modality).join("a/token"));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.map(|path| (path.strip_prefix(root).expect("inside").to_owned(), fs::read(&path).expect("a file"))).collect()
}

fn whole() -> (tempfile::TempDir, BTreeMap<PathBuf, Vec<u8>>) {
    let root = tempfile::tempdir().expect("a folder");
    let mut writer = open(root.path()).expect("a writable folder");
    append_up_to(&mut writer, 10);
    writer.finish().expect("room");
    let files = files(root.path());
    assert_eq!(files.len(), 6);
    (root, files)
}

#[test]
fn an_interrupted_writer_is_resumed_to_the_same_bytes() {
    let (_root, expected) = whole();
    for n in 0..10 {
        let root = tempfile::tempdir().expect("a folder");
        let mut writer = open(root.path()).expect("a writable folder");
        append_up_to(&mut writer, n);
        drop(writer);
        assert_eq!(files(root.path()).len(), n / 4 * 2, "only whole shards");
        // What a killed writer leaves.
        fs::write(root.path().join("rgb/a/token/.shard-000002.tar.partial"), "half").expect("room");
        let mut writer = open(root.path()).expect("a writable folder");
        assert_eq!(writer.n_samples(), n / 4 * 4);
        append_up_to(&mut writer, 10);
        writer.finish().expect("room");
        assert!(files(root.path()) == expected, "after {n}");
    }
}

#[test]
fn shards_that_are_not_whole_are_written_anew() {
    let (root, expected) = whole();
    let shard = |name: &str| root.path().join(name);
    let cut = shard("cam/a/token/shard-000000.tar");
    let content = fs::read(&cut).expect("a shard");
    let damages: [Damage; 4] = [
        ("cut in a member", Box::new(|| fs::write(&cut, &content[..700]).expect("room"))),
        ("cut before its end mark", Box::new(|| fs::write(&cut, &content[..content.len() - 1024]).expect("room"))),
        (
            "one modality is missing",
            Box::new(|| fs::remove_file(shard("rgb/a/token/shard-000001.tar")).expect("a file")),
        ),
        (
            "another shard's samples",
            Box::new(|| {
                fs::copy(shard("rgb/a/token/shard-000000.tar"), shard("rgb/a/token/shard-000001.tar")).expect("room");
            }),
        ),
    ];
    for (name, damage) in damages {
        damage();
        let mut writer = open(root.path()).expect("a writable folder");
        assert_eq!(writer.n_samples(), 6, "{name}");
        append_up_to(&mut writer, 10);
        writer.finish().expect("room");
        assert!(files(root.path()) == expected, "{name}");
    }
}

#[test]
fn samples_that_do_not_fit_are_refused() {
    let root = tempfile::tempdir().expect("a folder");
    let mut writer = open(root.path()).expect("a writable folder");
    let good = sample_tokens("x", &MODALITIES);
    writer.append("x", &good).expect("room");
    let with = |modality: Modality, tokens: Option<Vec<i64>>| {
        let mut sample = good.clone();
        sample[modality.index()] = tokens;
        sample
    };
    let n = layout().n_tokens(Camera);
    for (key, tokens, expected) in [
        ("x", good.clone(), "it was written before"),
        ("", good.clone(), "1 to 200 bytes"),
        ("a.b", good.clone(), "no dots"),
        ("../a", good.clone(), "no dots, slashes"),
        ("a\nb", good.clone(), "control characters"),
        ("y", with(Camera, None), "it lacks camera"),
        ("y", with(Gaze, Some(vec![0; n])), "it has gaze, which these shards lack"),
        ("y", with(Camera, Some(vec![0; n + 1])), "tokens of camera, expected"),
        ("y", with(Camera, Some(vec![-1; n])), "camera holds the token -1, expected 0 to"),
    ] {
        let error = writer.append(key, &tokens).expect_err("refused").to_string();
        assert!(error.contains(expected) && error.lines().count() == 2, "{error}");
    }
    writer.finish().expect("room");
    assert_eq!(open(root.path()).expect("a writable folder").n_samples(), 1);
}

#[test]
fn one_writer_at_a_time() {
    let root = tempfile::tempdir().expect("a folder");
    let writer = open(root.path()).expect("a writable folder");
    assert!(matches!(open(root.path()), Err(DataError::Busy { .. })));
    drop(writer);
    assert!(open(root.path()).is_ok());
}

#[test]
fn impossible_shards_are_refused() {
    let root = tempfile::tempdir().expect("a folder");
    let good =
        ShardSettings { root: root.path().to_owned(), dataset: "a".to_owned(), modalities: vec![Rgb], n_samples: 1 };
    for settings in [
        ShardSettings { modalities: vec![], ..good.clone() },
        ShardSettings { modalities: vec![Rgb, Rgb], ..good.clone() },
        ShardSettings { n_samples: 0, ..good.clone() },
        ShardSettings { dataset: "../a".to_owned(), ..good.clone() },
        ShardSettings { dataset: "a{b}".to_owned(), ..good.clone() },
    ] {
        let error = ShardWriter::open(settings, &layout()).expect_err("refused");
        assert!(matches!(&error, DataError::Setting { .. }) && error.to_string().lines().count() == 2, "{error}");
    }
    let file = root.path().join("file");
    fs::write(&file, "").expect("room");
    assert!(matches!(ShardWriter::open(ShardSettings { root: file, ..good }, &layout()), Err(DataError::Write { .. })));
}
