use std::collections::BTreeMap;

use egom2p_model::Modality;

use super::fixture::{keys, layout, open, plain, settings, shards, take};
use crate::data::{DataSettings, Mixture, Weighting};

#[test]
fn shards_are_drawn_uniformly_with_replacement() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = shards(root.path(), "a", &[Modality::Gaze], 4);
    let (mut mixture, _) = open(&[dataset], &plain());
    let samples = take(&mut mixture, 8000);
    let drawn: Vec<usize> =
        samples.chunks(10).map(|shard| shard[0].key[2..].parse::<usize>().expect("a number") / 10).collect();
    let n_repeated = drawn.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let counts = (0..4).map(|shard| drawn.iter().filter(|drawn| **drawn == shard).count());
    // 800 draws with a probability of a quarter: 200 expected, five deviations are 61.
    for count in counts.chain([n_repeated]) {
        assert!(count.abs_diff(200) < 61, "{count}");
    }
}

#[test]
fn every_sample_comes_as_often_as_it_is_repeated() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = shards(root.path(), "a", &[Modality::Gaze], 1);
    let (mut mixture, _) = open(&[dataset], &settings());
    let samples = take(&mut mixture, 4000);
    let mut counts = BTreeMap::<&str, usize>::new();
    for key in keys(&samples) {
        *counts.entry(key).or_default() += 1;
    }
    // One shard is read over and over: 400 of each, but for what waits in the buffers of 25.
    assert_eq!(counts.len(), 10);
    assert!(counts.values().all(|count| count.abs_diff(400) <= 4 * 25 + 25), "{counts:?}");
    // Copies do not follow each other more often than chance has it: one in ten, where unshuffled ones do in 3 of 4.
    let n_same = samples.windows(2).filter(|pair| pair[0].key == pair[1].key).count();
    assert!((400..1000).contains(&n_same), "{n_same}");
}

#[test]
fn datasets_are_mixed_by_their_weights() {
    let root = tempfile::tempdir().expect("a folder");
    let mut datasets = [("a", 1), ("b", 2), ("c", 3)].map(|(name, n)| shards(root.path(), name, &[Modality::Gaze], n));
    for (dataset, n_samples) in datasets.iter_mut().zip([100, 1000, 10_000]) {
        dataset.n_samples = Some(n_samples);
    }
    for (weighting, expected) in [
        (Weighting::Proportional, [100.0 / 11_100.0, 1000.0 / 11_100.0, 10_000.0 / 11_100.0]),
        (Weighting::Uniform, [1.0 / 3.0; 3]),
        (Weighting::Logarithmic, [2.0 / 9.0, 3.0 / 9.0, 4.0 / 9.0]),
        (Weighting::Given(vec![0.0, 1.0, 1.0]), [0.0, 0.5, 0.5]),
    ] {
        let mut mixture = Mixture::open(&datasets, &settings(), &weighting, &layout(), |_| {}).expect("a mixture");
        let n = 5000;
        let samples = take(&mut mixture, n);
        for (dataset, p) in expected.into_iter().enumerate() {
            assert!((mixture.probabilities()[dataset] - p).abs() < 1e-12);
            let count = samples.iter().filter(|sample| sample.dataset == dataset).count() as f64;
            let deviation = (n as f64 * p * (1.0 - p)).sqrt();
            assert!((count - n as f64 * p).abs() <= 5.0 * deviation, "{weighting:?} {dataset}: {count}");
        }
    }
}

#[test]
fn a_shard_counts_as_a_thousand_samples_and_a_folder_is_counted() {
    let root = tempfile::tempdir().expect("a folder");
    let mut a = shards(root.path(), "a", &[Modality::Gaze], 2);
    a.n_samples = None;
    let b = super::fixture::folder(root.path(), "b", &[Modality::Gaze], 500);
    let (mixture, _) = open(&[a, b], &settings());
    assert_eq!(mixture.probabilities(), [0.8, 0.2]);
}

#[test]
fn settings_that_make_no_stream_are_errors() {
    let root = tempfile::tempdir().expect("a folder");
    let dataset = shards(root.path(), "a", &[Modality::Gaze], 1);
    let refused = |datasets: &[_], settings: &DataSettings| {
        let error = Mixture::open(datasets, settings, &Weighting::Uniform, &layout(), |_| {}).expect_err("no stream");
        assert_eq!(error.to_string().lines().count(), 2, "{error}");
    };
    refused(&[], &settings());
    refused(&[dataset.clone(), dataset.clone()], &settings());
    let one = [dataset];
    refused(&one, &DataSettings { n_workers: 0, ..settings() });
    refused(&one, &DataSettings { n_prefetched: 0, ..settings() });
    refused(&one, &DataSettings { n_shuffled: usize::MAX, ..settings() });
    refused(&one, &DataSettings { n_repeats: 0, ..settings() });
}
