use std::collections::BTreeSet;
use std::fs;

use egom2p_model::Modality::{Camera, Gaze};

use super::fixture::{folder, key, keys, layout, open, plain, sample_tokens, take};
use crate::data::{Damage, DataError, SourcePattern, ValidationSet};

#[test]
fn every_pass_has_every_file_once_in_another_order() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = folder(root.path(), "a", &[Camera, Gaze], 12);
    let (mut mixture, _) = open(&[dataset], &plain());
    let samples = take(&mut mixture, 48);
    let passes: Vec<Vec<&str>> = samples.chunks(12).map(keys).collect();
    for (index, pass) in passes.iter().enumerate() {
        assert_eq!(pass.iter().collect::<BTreeSet<_>>().len(), 12);
        assert!(!passes[..index].contains(pass));
    }
}

#[test]
fn files_are_matched_by_name() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = folder(root.path(), "a", &[Camera, Gaze], 6);
    // By index, the gaze of every later clip would be that of its neighbour.
    fs::remove_file(root.path().join("gaze/a/a-00002.npz")).expect("a file");
    fs::write(root.path().join("gaze/a/notes.txt"), "not a sample").expect("room");
    let (mut mixture, told) = open(&[dataset], &plain());
    for sample in take(&mut mixture, 30) {
        assert_ne!(sample.key, key("a", 2));
        assert_eq!(sample.tokens, sample_tokens(&sample.key, &[Camera, Gaze]));
    }
    let told = told.lock().expect("one thread");
    assert!(matches!(&told[..], [Damage::Missing { path }] if path.ends_with("gaze/a/a-00002.npz")), "{told:?}");
}

#[test]
fn validation_takes_every_clip_once_up_to_a_limit() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = folder(root.path(), "a", &[Camera, Gaze], 20);
    fs::write(root.path().join("cam/a/a-00007.npz"), "broken").expect("room");
    let pattern: SourcePattern = dataset.pattern.parse().expect("a pattern");
    let set = |limit, seed| ValidationSet::open(3, &pattern, &layout(), limit, seed).expect("a folder");
    let all = set(50_000, 0);
    assert_eq!(all.len(), 20);
    let (good, damaged): (Vec<_>, Vec<_>) = all.samples().partition(Result::is_ok);
    assert_eq!(damaged.len(), 1);
    let damage = damaged.into_iter().find_map(Result::err).expect("one");
    assert!(matches!(&damage, Damage::Corrupt { member, .. } if member.ends_with("cam/a/a-00007.npz")), "{damage}");
    let good: Vec<_> = good.into_iter().filter_map(Result::ok).collect();
    assert_eq!(keys(&good).into_iter().collect::<BTreeSet<_>>().len(), 19);
    assert!(
        good.iter().all(|sample| sample.dataset == 3 && sample.tokens == sample_tokens(&sample.key, &[Camera, Gaze]))
    );
    let keys_of = |set: ValidationSet| set.samples().filter_map(|sample| Some(sample.ok()?.key)).collect::<Vec<_>>();
    assert_eq!(keys_of(set(50_000, 0)), keys(&good));
    assert_ne!(keys_of(set(50_000, 1)), keys(&good));
    assert_eq!(set(5, 0).len(), 5);
    assert!(set(0, 0).is_empty());
}

#[test]
fn validation_needs_folders_with_files() {
    let root = tempfile::tempdir().expect("a folder");
    let open = |pattern: String| {
        let pattern = pattern.parse().expect("a pattern");
        ValidationSet::open(0, &pattern, &layout(), 10, 0).expect_err("nothing to validate with")
    };
    let shards = open(format!("{}/[cam]/a/{{0..1}}.tar", root.path().display()));
    assert!(matches!(shards, DataError::Setting { .. }), "{shards}");
    let missing = format!("{}/[cam]/a/*.npz", root.path().display());
    assert!(matches!(open(missing.clone()), DataError::List { .. }));
    fs::create_dir_all(root.path().join("cam/a")).expect("room");
    let empty = open(missing);
    assert!(empty.to_string().contains("it holds no .npz files\n"), "{empty}");
}

#[cfg(not(feature = "object-store"))]
#[test]
fn object_stores_are_a_feature() {
    use crate::data::{Mixture, Weighting};

    let dataset = crate::data::DatasetSettings {
        name: "a".to_owned(),
        pattern: "s3://bucket/[cam]/a/shard-{0..1}.tar".to_owned(),
        n_samples: None,
    };
    let opened = Mixture::open(&[dataset], &plain(), &Weighting::Uniform, &layout(), |_| {});
    let error = opened.expect_err("no object stores").to_string();
    assert!(error.ends_with("\nbuild it with the feature object-store, or copy the shards to this machine"), "{error}");
}
