//! Checkpoints: what comes back, what is refused, and what is left when a save is stopped.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests panic where they fail, and say that they cannot run"
)]

mod damage;
mod stopped;
mod training;

use egom2p_graph::Parameters;
use egom2p_model::{Preset, Stage, WeightsFolder, stage_graph, weights::WeightsPart};
use egom2p_train::checkpoint::{self, CheckpointError};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tch::{Device, Kind, Tensor};
use training::{bits, names, training};

#[test]
fn everything_comes_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = training(7);
    // Bits that arithmetic would change, a tensor that gradients flow through, and one that is not contiguous.
    let odd = [0x7fc0_1234_u32, 0xff80_0001, 0x8000_0000, 0x0000_0001].map(f32::from_bits);
    before.tensors.insert("encoder_norm.weight".into(), Tensor::from_slice(&odd).repeat([3]).set_requires_grad(true));
    let shape = before.tensors["encoder.0.mlp.fc2.weight"].size();
    let turned = Tensor::randn([shape[1], shape[0]], (Kind::Float, Device::Cpu)).tr();
    assert!(!turned.is_contiguous());
    before.tensors.insert("encoder.0.mlp.fc2.weight".into(), turned);
    before.state = state();
    let path = checkpoint::save(folder.path(), &before, 1).unwrap();
    assert_eq!(path, folder.path().join("step-00000007"));
    let after = checkpoint::load(&path, Device::Cpu).unwrap();
    assert_eq!((after.step, after.part), (7, WeightsPart::Model));
    assert_eq!(after.config, before.config);
    assert_eq!(after.state, before.state);
    assert_eq!(bits(&after), bits(&before));
}

/// Numbers of all sizes: what a reader of decimal digits gets wrong by one unit in a thousand of them would show.
fn state() -> Value {
    let mut bits = 1_u64;
    let floats: Vec<f64> = std::iter::repeat_with(|| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(bits ^ bits >> 29)
    })
    .filter(|value| value.is_finite())
    .take(10_000)
    .collect();
    json!({"floats": floats, "largest": u64::MAX, "smallest": i64::MIN, "text": "\u{0}\u{1f600}\"\\", "nothing": null})
}

#[test]
fn a_checkpoint_is_a_weights_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint::save(folder.path(), &training(1), 1).unwrap();
    let weights = WeightsFolder::open(&path).unwrap();
    let stages = weights.stages();
    assert!(stages.contains(&Stage::Encoder) && stages.contains(&Stage::Decoder), "{stages:?}");
    let file = weights.part(WeightsPart::Model).unwrap();
    for stage in stages {
        for (name, shape) in stage_graph(weights.config(), stage, stage.variants()[0]).unwrap().params() {
            file.parameter(name, &shape).unwrap();
        }
    }
}

#[test]
fn the_last_ones_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for step in [3, 5, 8, 13] {
        checkpoint::save(folder.path(), &training(step), 2).unwrap();
    }
    assert_eq!(names(folder.path()), ["step-00000008", "step-00000013"]);
    checkpoint::save(folder.path(), &training(123_456_789), 0).unwrap();
    assert_eq!(names(folder.path()), ["step-123456789"]);
    assert_eq!(checkpoint::latest(folder.path()).unwrap(), Some(folder.path().join("step-123456789")));
}

#[test]
fn an_empty_folder_and_none_have_no_latest() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(checkpoint::latest(folder.path()).unwrap(), None);
    assert_eq!(checkpoint::latest(&folder.path().join("none")).unwrap(), None);
}

#[test]
fn time_does_not_go_back() {
    let folder = tempfile::tempdir().unwrap();
    checkpoint::save(folder.path(), &training(5), 3).unwrap();
    for step in [4, 5] {
        let error = checkpoint::save(folder.path(), &training(step), 3).unwrap_err();
        assert!(matches!(error, CheckpointError::NotNewest { newest: 5, .. }), "{error}");
    }
    assert_eq!(names(folder.path()), ["step-00000005"]);
}

#[test]
fn values_are_restored_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let saved = training(4);
    let path = checkpoint::save(folder.path(), &saved, 1).unwrap();
    let mut live = training(0);
    let learned = live.tensors["encoder_norm.weight"].set_requires_grad(true);
    live.tensors.insert("encoder_norm.weight".into(), learned.shallow_clone());
    checkpoint::restore(&path, &mut live).unwrap();
    assert_eq!((live.step, &live.state), (4, &saved.state));
    assert_eq!(bits(&live), bits(&saved));
    assert!(learned.requires_grad() && learned.is_leaf());
    assert!(learned.equal(&saved.tensors["encoder_norm.weight"]));
}

#[test]
fn another_model_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = checkpoint::save(folder.path(), &training(4), 1).unwrap();
    let mut live = training(0);
    live.config = Preset::Tiny.config();
    let error = checkpoint::restore(&path, &mut live).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "checkpoint {} holds the EgoM2P model of a config of width 12, expected the EgoM2P model of egom2p-tiny\n\
             use the preset and the command that it was trained with",
            path.display()
        )
    );
    let mut live = training(0);
    let before = bits(&live);
    live.tensors.remove("optimizer.first.encoder_norm.weight");
    let error = checkpoint::restore(&path, &mut live).unwrap_err();
    assert!(matches!(&error, CheckpointError::Unknown { name, .. } if name == "optimizer.first.encoder_norm.weight"));
    live.tensors.insert("optimizer.first.encoder_norm.weight".into(), Tensor::zeros([12], (Kind::Float, Device::Cpu)));
    live.tensors.insert("optimizer.third.encoder_norm.weight".into(), Tensor::zeros([12], (Kind::Float, Device::Cpu)));
    let error = checkpoint::restore(&path, &mut live).unwrap_err();
    assert!(matches!(&error, CheckpointError::Missing { name, .. } if name == "optimizer.third.encoder_norm.weight"));
    let unchanged = bits(&live);
    assert!(
        before.iter().filter(|(name, _)| !name.starts_with("optimizer")).all(|(name, bits)| unchanged[name] == *bits)
    );
}

#[test]
fn a_training_with_other_tensors_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, Device::Cpu));
    let refused = |name: &str, tensor: Option<Tensor>| {
        let mut training = training(1);
        match tensor {
            Some(tensor) => drop(training.tensors.insert(name.into(), tensor)),
            None => drop(training.tensors.remove(name)),
        }
        let error = checkpoint::save(folder.path(), &training, 1).unwrap_err();
        assert_eq!(error.to_string().lines().count(), 2);
        assert!(error.to_string().contains(name), "{error}");
        error
    };
    assert!(matches!(refused("encoder_norm.weight", None), CheckpointError::Missing { .. }));
    assert!(matches!(refused("encoder_norm.bias", Some(zeros(&[12], Kind::Float))), CheckpointError::Unknown { .. }));
    let wrong = zeros(&[1, 12], Kind::Float);
    assert!(matches!(refused("encoder_norm.weight", Some(wrong)), CheckpointError::Shape { .. }));
    let wrong = zeros(&[11], Kind::Float);
    assert!(matches!(refused("optimizer.first.encoder_norm.weight", Some(wrong)), CheckpointError::Shape { .. }));
    let wrong = zeros(&[12], Kind::Float);
    assert!(matches!(refused("optimizer.first.nobody", Some(wrong)), CheckpointError::Unknown { .. }));
    let wrong = zeros(&[12], Kind::BFloat16);
    assert!(matches!(refused("encoder_norm.weight", Some(wrong)), CheckpointError::Kind { .. }));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_state_that_would_not_come_back_is_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut training = training(1);
    training.state = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let error = checkpoint::save(folder.path(), &training, 1).unwrap_err();
    assert!(matches!(error, CheckpointError::State { step: 1, .. }), "{error}");
    training.state = json!("x".repeat(16 << 20));
    let error = checkpoint::save(folder.path(), &training, 1).unwrap_err();
    assert!(matches!(error, CheckpointError::State { step: 1, .. }), "{error}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn saving_takes_no_second_copy_of_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let training = training::of(Preset::Tiny.config(), 1);
    let n_bytes: usize = training.tensors.values().map(|tensor| tensor.numel() * 4).sum();
    assert!(n_bytes > 48 << 20, "{n_bytes}");
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak_bytes();
    checkpoint::save(folder.path(), &training, 1).unwrap();
    let more = peak_bytes() - before;
    // Two buffers of a chunk, and the allocator's reserve.
    assert!(more < 8 << 20, "{more} bytes on top of {n_bytes}");
}

fn peak_bytes() -> usize {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
