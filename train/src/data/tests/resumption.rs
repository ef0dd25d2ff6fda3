use std::collections::BTreeSet;
use std::fs;

use egom2p_model::Modality;
use serde_json::{Value, json};

use super::fixture::{datasets, open, settings, shards, take};
use crate::data::key::Key;
use crate::data::{DataError, DataSettings, SampleStream};

#[test]
fn a_resumed_stream_is_the_uninterrupted_one() {
    let root = tempfile::tempdir().expect("a folder");
    let datasets = datasets(&root);
    let (mut whole, _) = open(&datasets, &settings());
    let (mut at, random) = (0, Key::new("test", "", 0, 0));
    for part in 0..12 {
        let n = if part == 0 { 0 } else { random.below(part, 150) };
        take(&mut whole, n);
        at += n;
        let text = whole.position().to_string();
        let position: Value = serde_json::from_str(&text).expect("JSON");
        // Once with another number of threads, once in a stream that is somewhere else.
        let (mut resumed, _) = open(&datasets, &DataSettings { n_workers: 1 + part as usize % 4, ..settings() });
        take(&mut resumed, part as usize);
        resumed.seek(&position).expect("a position of this stream");
        assert_eq!(resumed.position(), position);
        let (mut uninterrupted, _) = open(&datasets, &settings());
        take(&mut uninterrupted, at);
        assert!(take(&mut resumed, 200) == take(&mut uninterrupted, 200), "at {at}");
        assert_eq!(resumed.position(), uninterrupted.position());
        assert_eq!(resumed.n_skipped(), uninterrupted.n_skipped());
    }
}

#[test]
fn resuming_reads_what_waits_and_not_what_is_over() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = [shards(root.path(), "a", &[Modality::Gaze], 60)];
    let (mut whole, _) = open(&dataset, &settings());
    take(&mut whole, 600);
    let position = whole.position();
    let waiting = &position["datasets"][0]["places"];
    let waiting: BTreeSet<u64> =
        waiting.as_array().expect("places").iter().filter_map(|p| p["shard"].as_u64()).collect();
    let mut n_removed = 0;
    for number in (0..60).filter(|number| !waiting.contains(number)) {
        fs::remove_file(root.path().join(format!("gaze/a/token/shard-{number:06}.tar"))).expect("a shard");
        n_removed += 1;
    }
    assert!(n_removed > 20, "{n_removed}");
    open(&dataset, &settings()).0.seek(&position).expect("a position of this stream");
}

#[test]
fn positions_of_other_streams_are_refused_and_change_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let datasets = datasets(&root);
    let (mut stream, _) = open(&datasets, &settings());
    take(&mut stream, 50);
    let position = stream.position();
    let changed = |path: &str, value: Value| {
        let mut position = position.clone();
        *position.pointer_mut(path).expect("a field") = value;
        position
    };
    for (position, expected) in [
        (json!(null), "invalid type"),
        (json!({}), "missing field"),
        (changed("/seed", json!(1)), "its seed is 1, expected 0"),
        (changed("/n_repeats", json!(1)), "its n_repeats is 1, expected 4"),
        (changed("/datasets", json!([])), "its number of datasets is 0, expected 3"),
        (changed("/datasets/0/name", json!("b")), "it is in b with 4 shards"),
        (changed("/datasets/2/n_parts", json!(16)), "it is in folder with 16 shards or files, expected folder with 15"),
        (changed("/datasets/0/samples/items/0", json!(4_000_000_000_u32)), "no sample 4000000000 of all"),
        (changed("/datasets/1/cursor/draw", json!(u64::MAX)), "it counts past 1152921504606846976 in damaged"),
        (changed("/datasets/0/repeated", json!([99999, 1])), "no sample 99999 of all"),
    ] {
        let error = stream.seek(&position).expect_err("another stream");
        let message = error.to_string();
        assert!(matches!(error, DataError::Position { .. }) && message.contains(expected), "{message}");
        assert_eq!(message.lines().count(), 2, "{message}");
    }
    assert_eq!(stream.position(), position);
    let (mut other, _) = open(&datasets, &settings());
    other.seek(&position).expect("a position of this stream");
    assert!(take(&mut stream, 50) == take(&mut other, 50));
}

#[test]
fn changed_data_is_noticed() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = [shards(root.path(), "a", &[Modality::Gaze], 2)];
    let (mut stream, _) = open(&dataset, &settings());
    take(&mut stream, 10);
    let position = stream.position();
    for (path, value) in [("key", json!("b")), ("shard", json!(7)), ("offsets", json!([0, 0, 1_u64 << 40, 0]))] {
        let mut position = position.clone();
        position["datasets"][0]["places"][3][path] = value;
        let error = stream.seek(&position).expect_err("changed");
        assert!(matches!(error, DataError::Changed { .. }), "{path}: {error}");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    }
    fs::remove_file(root.path().join("gaze/a/token/shard-000001.tar")).expect("a shard");
    assert!(matches!(stream.seek(&position), Err(DataError::Changed { .. })));
}
