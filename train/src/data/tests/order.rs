use egom2p_model::Modality;

use super::fixture::{datasets, keys, open, plain, sample_tokens, settings, shards, take};
use crate::data::DataSettings;

#[test]
fn threads_do_not_change_the_order() {
    let root = tempfile::tempdir().expect("a folder");
    let datasets = datasets(&root);
    let with = |n_workers, n_prefetched| {
        let (mut mixture, told) = open(&datasets, &DataSettings { n_workers, n_prefetched, ..settings() });
        let samples = take(&mut mixture, 600);
        let told = told.lock().expect("one thread").clone();
        (samples, told, mixture.n_skipped())
    };
    let expected = with(1, 1);
    assert!(expected.2 > 0);
    for (n_workers, n_prefetched) in [(2, 1), (2, 64), (4, 7), (1, 64)] {
        assert!(with(n_workers, n_prefetched) == expected, "{n_workers} threads, {n_prefetched} ahead");
    }
}

#[test]
fn samples_carry_their_own_tokens() {
    let root = tempfile::tempdir().expect("a folder");
    let datasets = datasets(&root);
    let modalities: [&[Modality]; 3] =
        [&Modality::ALL, &[Modality::Rgb, Modality::Gaze, Modality::Camera], &[Modality::Depth, Modality::Camera]];
    let (mut mixture, _) = open(&datasets, &settings());
    for sample in take(&mut mixture, 300) {
        assert!(sample.key.starts_with(&datasets[sample.dataset].name));
        assert_eq!(sample.tokens, sample_tokens(&sample.key, modalities[sample.dataset]), "{}", sample.key);
    }
}

#[test]
fn without_shuffling_samples_come_in_shard_order_each_repeated() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = shards(root.path(), "a", &[Modality::Gaze], 3);
    let (mut mixture, _) = open(&[dataset], &DataSettings { n_repeats: 4, ..plain() });
    for shard in take(&mut mixture, 400).chunks(40) {
        let first: usize = shard[0].key[2..].parse().expect("a number");
        assert_eq!(first % 10, 0);
        let expected: Vec<String> = (0..40).map(|index| super::fixture::key("a", first + index / 4)).collect();
        assert_eq!(keys(shard), expected);
    }
}

#[test]
fn seeds_and_ranks_have_streams_of_their_own() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = [shards(root.path(), "a", &[Modality::Gaze], 8)];
    let of = |seed, rank| take(&mut open(&dataset, &DataSettings { seed, rank, ..settings() }).0, 100);
    let streams = [of(0, 0), of(1, 0), of(0, 1), of(1, 1)];
    for (index, stream) in streams.iter().enumerate() {
        assert!(!streams[..index].contains(stream));
    }
    assert!(of(1, 1) == streams[3]);
}
