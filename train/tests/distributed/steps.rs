//! Two processes take the steps of one.

use super::clips::{config, settings};
use super::processes::{N_RANKS, Processes, of_this_process};
use super::streams::Share;
use egom2p_train::distributed::Ranks;
use egom2p_train::{Initial, Masking, Pretraining, PretrainingSettings, Validation};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, rc::Rc};
use tch::{Device, Kind, Tensor};

const N_STEPS: u64 = 50;
/// Largest relative difference of losses and gradient norms between two processes and one. With one pass on each rank 0 was
/// measured, because a sum of two gradients does not depend on their order; with two passes 3e-7.
const TOLERANCE: f64 = 1e-6;
/// The same for the parameters, by their norm; 0 and 1.0e-6 were measured.
const PARAMETER_TOLERANCE: f64 = 5e-6;

/// What a training did.
#[derive(Serialize, Deserialize)]
struct Record {
    losses: Vec<f64>,
    /// Cross-entropies by modality, where there are targets.
    cross_entropies: Vec<[Option<f64>; 4]>,
    norms: Vec<f64>,
    n_tokens: Vec<u64>,
    validation: Vec<f64>,
    parameters: Vec<f32>,
}

/// A training of this process, alone or with others.
fn training(settings: &PretrainingSettings, ranks: Option<&Rc<Ranks>>) -> Pretraining {
    tch::set_num_threads(1);
    let (rank, n_ranks) = ranks.map_or((0, 1), |ranks| (ranks.rank(), ranks.n_ranks()));
    // Parameters that only rank 0 has right, and that the others are sent.
    let initial = Initial::new(&config(), settings.seed + rank as u64);
    let stream = Box::new(Share::of(rank, n_ranks, settings.batch.samples));
    let mut training = Pretraining::new(settings, &config(), &initial, stream, Device::Cpu).unwrap();
    if let Some(ranks) = ranks {
        training = training.join(Rc::clone(ranks)).unwrap();
    }
    let held_out = super::clips::Clips::from(1000).take(6);
    training.set_validation(Validation::new(&config(), &held_out, &[], 2, Device::Cpu).unwrap());
    training
}

fn record(training: &mut Pretraining, n_steps: u64) -> Record {
    let mut record = Record {
        losses: vec![],
        cross_entropies: vec![],
        norms: vec![],
        n_tokens: vec![],
        validation: vec![],
        parameters: vec![],
    };
    for _ in 0..n_steps {
        let report = training.step().unwrap().unwrap();
        record.losses.push(report.loss);
        record.cross_entropies.push(report.losses);
        record.norms.push(report.gradient_norm);
        record.n_tokens.push(report.n_tokens);
    }
    let report = training.validate(None).unwrap().unwrap();
    record.validation = report.tasks.iter().map(|task| task.held_out).collect();
    for (_, tensor) in training.network().parameters().iter() {
        record.parameters.extend(Vec::<f32>::try_from(tensor.detach().flatten(0, -1)).unwrap());
    }
    record
}

fn read(folder: &Path, rank: usize) -> Record {
    serde_json::from_slice(&fs::read(folder.join(rank.to_string())).unwrap()).unwrap()
}

fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs() / expected.abs());
    differences.fold(0.0, f64::max)
}

/// Trains as a rank, or compares what both ranks found with one process.
fn equals_one_process(test: &str, settings: &PretrainingSettings) {
    if let Some((folder, ranks)) = of_this_process() {
        let record = record(&mut training(settings, Some(&ranks)), N_STEPS);
        fs::write(folder.join(ranks.rank().to_string()), serde_json::to_vec(&record).unwrap()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Processes::of_test(test, folder.path()).succeed();
    let alone = record(&mut training(settings, None), N_STEPS);
    let [first, second] = [0, 1].map(|rank| read(folder.path(), rank));
    let bits = |record: &Record| record.parameters.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(&first) == bits(&second), "the ranks have other parameters");
    for found in [&first, &second] {
        assert_eq!(found.n_tokens, alone.n_tokens);
        let losses = largest_difference(&found.losses, &alone.losses);
        let norms = largest_difference(&found.norms, &alone.norms);
        let validation = largest_difference(&found.validation, &alone.validation);
        let entropies = |record: &Record| record.cross_entropies.concat().into_iter().flatten().collect::<Vec<_>>();
        let entropies = largest_difference(&entropies(found), &entropies(&alone));
        let double = |record: &Record| Tensor::from_slice(&record.parameters).to_kind(Kind::Double);
        let parameters = ((double(found) - double(&alone)).norm() / double(&alone).norm()).double_value(&[]);
        let all = [losses, norms, validation, entropies];
        assert!(
            all.iter().all(|difference| *difference <= TOLERANCE),
            "losses, gradient norms, validation, cross-entropies differ by {all:?}"
        );
        assert!(parameters <= PARAMETER_TOLERANCE, "parameters differ by {parameters:.1e}");
    }
    let untrained = record(&mut training(settings, None), 0);
    let fell = alone.validation.iter().zip(&untrained.validation).any(|(after, before)| *after < 0.95 * before);
    assert!(fell, "training does something: {:?} to {:?}", untrained.validation, alone.validation);
}

#[test]
fn one_pass_on_each_rank_equals_two_passes_of_one_process() {
    let settings = settings(4, 2, N_STEPS);
    // What is tested holds: a pass of the second rank has no targets.
    let masking = Masking::new(&settings.masking, &config(), settings.seed);
    let only_camera = [true, false, false, false];
    assert!((0..100).all(|index| masking.budgets(only_camera, index).targets == [0; 4]));
    equals_one_process("steps::one_pass_on_each_rank_equals_two_passes_of_one_process", &settings);
}

#[test]
fn two_passes_on_each_rank_equal_four_passes_of_one_process() {
    let settings = settings(8, 2, N_STEPS);
    equals_one_process("steps::two_passes_on_each_rank_equal_four_passes_of_one_process", &settings);
}

#[test]
fn a_restored_training_goes_on_exactly() {
    const TEST: &str = "steps::a_restored_training_goes_on_exactly";
    let settings = settings(4, 2, 12);
    if let Some((folder, ranks)) = of_this_process() {
        let mut whole = training(&settings, Some(&ranks));
        record(&mut whole, 5);
        let checkpoint = whole.checkpoint().unwrap();
        let tensors = checkpoint.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
        let checkpoint = egom2p_train::checkpoint::Checkpoint { tensors, ..checkpoint };
        let whole = record(&mut whole, 4);
        let mut resumed = training(&settings, Some(&ranks));
        record(&mut resumed, 2);
        resumed.restore(&checkpoint).unwrap();
        let resumed = record(&mut resumed, 4);
        assert_eq!(resumed.losses, whole.losses);
        let differing = resumed
            .parameters
            .iter()
            .zip(&whole.parameters)
            .filter(|(found, expected)| found.to_bits() != expected.to_bits());
        assert_eq!(differing.count(), 0, "of {}", whole.parameters.len());
        // One process cannot go on from there.
        let error = training(&settings, None).restore(&checkpoint).unwrap_err().to_string();
        assert!(error.contains("number of ranks is 2, expected 1") && error.lines().count() == 2, "{error}");
        fs::write(folder.join(ranks.rank().to_string()), "done").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Processes::of_test(TEST, folder.path()).succeed();
    assert!((0..N_RANKS).all(|rank| folder.path().join(rank.to_string()).exists()));
}
