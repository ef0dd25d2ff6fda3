use std::fs;
use std::path::{Path, PathBuf};

use egom2p_model::Modality::{self, Camera, Gaze};

use super::fixture::{key, npz, open, plain, shards, take, tokens};
use crate::data::npy::{self, Width};
use crate::data::{Damage, DataError, DataSettings, DatasetSettings, SampleStream};

/// The camera's shard 1 of two.
struct Shards {
    root: tempfile::TempDir,
    dataset: DatasetSettings,
    damaged: PathBuf,
}

impl Shards {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let dataset = shards(root.path(), "a", &[Camera, Gaze], 2);
        let damaged = root.path().join("cam/a/token/shard-000001.tar");
        Self { root, dataset, damaged }
    }

    /// What is told, and which clips still come.
    fn read(&self) -> (Vec<Damage>, Vec<usize>) {
        let (mut mixture, told) = open(std::slice::from_ref(&self.dataset), &plain());
        let samples = take(&mut mixture, 200);
        for sample in &samples {
            assert_eq!(sample.tokens[Camera.index()], Some(tokens(&sample.key, Camera)));
            assert_eq!(sample.tokens[Gaze.index()], Some(tokens(&sample.key, Gaze)));
        }
        let mut found: Vec<usize> = samples.iter().filter_map(|sample| sample.key[2..].parse().ok()).collect();
        found.sort_unstable();
        found.dedup();
        let told = told.lock().expect("one thread").clone();
        assert_eq!(mixture.n_damaged(), told.len());
        assert!(mixture.n_skipped() >= told.len() as u64);
        (told, found)
    }

    /// Checks that one damage is told, with these words and the shard's name, and that the clips `lost` do not come.
    fn check(&self, lost: std::ops::Range<usize>, words: &str) -> Damage {
        let (told, found) = self.read();
        let expected: Vec<usize> = (0..20).filter(|index| !lost.contains(index)).collect();
        assert_eq!(found, expected, "{told:?}");
        let [damage] = &told[..] else { panic!("{told:?}") };
        let text = damage.to_string();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains(words) && text.contains("shard-000001.tar"), "{text}");
        damage.clone()
    }

    /// Writes the damaged shard with one member replaced.
    fn replace(&self, index: usize, name: &str, content: &[u8]) {
        let members = (10..20).map(|at| if at == index { (name.to_owned(), content.to_vec()) } else { member(at) });
        write_tar(&self.damaged, members);
    }
}

/// The name and the content of a good member.
fn member(at: usize) -> (String, Vec<u8>) {
    (format!("{}.npz", key("a", at)), npz(&key("a", at), Camera))
}

fn write_tar(path: &Path, members: impl Iterator<Item = (String, Vec<u8>)>) {
    let mut builder = tar::Builder::new(fs::File::create(path).expect("room"));
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_slice()).expect("room");
    }
    builder.finish().expect("room");
}

/// An `.npz` whose `arr_0.npy` has these bytes.
pub(super) fn archive(content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("arr_0.npy", zip::write::SimpleFileOptions::default()).expect("memory has room");
    archive.write_all(content).expect("memory has room");
    archive.finish().expect("memory has room").into_inner()
}

fn array(shape: &[usize], values: &[i64]) -> Vec<u8> {
    let mut content = Vec::new();
    npy::write(&mut content, Width::I64, shape, values).expect("memory has room");
    archive(&content)
}

#[test]
fn a_missing_shard() {
    let shards = Shards::new();
    fs::remove_file(&shards.damaged).expect("a shard");
    assert!(matches!(shards.check(10..20, "is not there"), Damage::Missing { .. }));
}

#[test]
fn a_folder_in_place_of_a_shard() {
    let shards = Shards::new();
    fs::remove_file(&shards.damaged).expect("a shard");
    fs::create_dir(&shards.damaged).expect("room");
    assert!(matches!(shards.check(10..20, "it is not a file"), Damage::Unreadable { .. }));
}

#[test]
fn a_truncated_shard() {
    let shards = Shards::new();
    let bytes = fs::read(&shards.damaged).expect("a shard");
    // Ten members of two blocks, and the end mark: cut in the content of the fourth, and before the end mark.
    assert_eq!(bytes.len(), 512 * 22);
    fs::write(&shards.damaged, &bytes[..512 * 7 + 10]).expect("room");
    let damage = shards.check(13..20, "it ends at byte 3594, in the member \"a-00013.npz\"");
    assert!(matches!(damage, Damage::Truncated { at: 3594, .. }));
    fs::write(&shards.damaged, &bytes[..512 * 20]).expect("room");
    assert!(matches!(shards.check(20..20, "in a header or the end mark"), Damage::Truncated { at: 10_240, .. }));
}

#[test]
fn bytes_that_are_no_tar() {
    let shards = Shards::new();
    fs::write(&shards.damaged, [7; 4096]).expect("room");
    assert!(matches!(shards.check(10..20, "checksum"), Damage::Tar { at: 0, .. }));
}

#[test]
fn an_empty_file_and_an_empty_shard() {
    let shards = Shards::new();
    fs::write(&shards.damaged, []).expect("room");
    assert!(matches!(shards.check(10..20, "it ends at byte 0"), Damage::Truncated { at: 0, .. }));
    for path in [&shards.damaged, &shards.root.path().join("gaze/a/token/shard-000001.tar")] {
        write_tar(path, std::iter::empty());
    }
    assert!(matches!(shards.check(10..20, "holds no samples"), Damage::Empty { .. }));
}

#[test]
fn misaligned_shards() {
    let shards = Shards::new();
    let gaze = "gaze/a/token/shard-000001.tar does not go with";
    write_tar(&shards.damaged, (10..20).filter(|at| *at != 14).map(member));
    let damage = shards.check(14..20, "member 4 is \"a-00014\", expected \"a-00015\"");
    assert!(damage.to_string().contains(gaze));
    write_tar(&shards.damaged, (10..17).map(member));
    shards.check(17..20, "member 7 is \"a-00017\", expected the end of the shard");
    write_tar(&shards.damaged, (10..21).map(member));
    shards.check(20..20, "member 10 is the end of the shard, expected \"a-00020\"");
}

#[test]
fn members_that_are_no_samples() {
    let shards = Shards::new();
    let with_text = (10..20).map(member).chain([("readme.txt".to_owned(), b"text".to_vec())]);
    write_tar(&shards.damaged, with_text);
    assert!(matches!(shards.check(20..20, "\"readme.txt\" is not an .npz"), Damage::Foreign { .. }));
    shards.replace(12, "a-00012.npz", &vec![0; 100 << 10]);
    assert!(matches!(shards.check(12..13, "a-00012.npz is 102400 bytes large"), Damage::Foreign { .. }));
}

#[test]
fn members_that_cannot_be_unpacked() {
    let shards = Shards::new();
    let whole = npz(&key("a", 12), Camera);
    for (bytes, words) in [(&b"no archive"[..], "a-00012.npz is no .npz"), (&whole[..whole.len() / 2], "is no .npz")] {
        shards.replace(12, "a-00012.npz", bytes);
        assert!(matches!(shards.check(12..13, words), Damage::Corrupt { .. }));
    }
    let mut flipped = whole;
    let content = flipped.windows(4).position(|bytes| bytes == b".npy").expect("a name") + 40;
    flipped[content] ^= 0x10;
    shards.replace(12, "a-00012.npz", &flipped);
    let damage = shards.check(12..13, "a-00012.npz");
    assert!(matches!(damage, Damage::Corrupt { .. } | Damage::Array { .. }), "{damage}");
}

#[test]
fn members_with_other_arrays() {
    let shards = Shards::new();
    let good = tokens(&key("a", 12), Camera);
    let n = good.len();
    let mut float = Vec::new();
    npy::write(&mut float, Width::I32, &[n], &good).expect("memory has room");
    let descr = float.windows(3).position(|bytes| bytes == b"<i4").expect("a type");
    float[descr..descr + 3].copy_from_slice(b"<f4");
    let with = |index: usize, token| {
        let mut tokens = good.clone();
        tokens[index] = token;
        array(&[n], &tokens)
    };
    for (bytes, words) in [
        (archive(&float), "type \"<f4\", expected <i4".to_owned()),
        (array(&[n - 1], &good[1..]), format!("has shape [{}], expected [{n}]", n - 1)),
        (array(&[n, 1], &good), format!("has shape [{n}, 1], expected [{n}]")),
        (with(3, -1), "the token -1 at index 3, expected 0 to".to_owned()),
        (with(n - 1, 1 << 40), "the token 1099511627776 at index".to_owned()),
    ] {
        shards.replace(12, "a-00012.npz", &bytes);
        assert!(matches!(shards.check(12..13, &words), Damage::Array { .. }));
    }
    shards.replace(12, "a-00012.npz", &array(&[1, n], &good));
    assert!(shards.read().0.is_empty());
}

#[test]
fn the_limit_is_kept() {
    let shards = Shards::new();
    let member =
        |at: usize| (format!("{}.npz", key("a", at)), if at < 15 { vec![1] } else { npz(&key("a", at), Camera) });
    write_tar(&shards.damaged, (10..20).map(member));
    let with = |max_damaged| open(std::slice::from_ref(&shards.dataset), &DataSettings { max_damaged, ..plain() });
    let (mut mixture, told) = with(5);
    take(&mut mixture, 500);
    assert_eq!((mixture.n_damaged(), told.lock().expect("one thread").len()), (5, 5));
    for max_damaged in [0, 4] {
        let (mut mixture, _) = with(max_damaged);
        let error = (0..500).find_map(|_| mixture.next_sample().err()).expect("too much damage");
        let text = error.to_string();
        assert!(matches!(error, DataError::TooMuchDamage { limit, .. } if limit == max_damaged), "{text}");
        assert!(text.contains(&format!("a-{:05}.npz", 10 + max_damaged)) && text.lines().count() == 2, "{text}");
        assert!(mixture.next_sample().is_err());
    }
}

#[test]
fn a_dataset_that_gives_nothing_ends_the_stream() {
    let root = tempfile::tempdir().expect("a folder");
    let mut dataset = shards(root.path(), "a", &[Modality::Gaze], 2);
    dataset.pattern = dataset.pattern.replace("/a/", "/b/");
    let (mut mixture, told) = open(&[dataset], &plain());
    let error = mixture.next_sample().expect_err("no samples");
    assert!(matches!(&error, DataError::Barren { dataset, last } if dataset == "a" && last.contains("/b/")), "{error}");
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
    assert_eq!(told.lock().expect("one thread").len(), 2);
}
