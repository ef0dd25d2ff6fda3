//! A training to save: every tensor of a model with two moments, values that differ by step.

use egom2p_model::{ModelConfig, Preset, expected_tensors, weights::WeightsPart};
use egom2p_train::checkpoint::Checkpoint;
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};
use tch::{Device, Kind, Tensor};

/// A model small enough to be saved hundreds of times.
pub(crate) fn training(step: u64) -> Checkpoint {
    let config = ModelConfig {
        dim: 12,
        heads: 2,
        encoder_blocks: 1,
        decoder_blocks: 1,
        mlp_hidden: 24,
        video_tokenizer: None,
        camera_tokenizer: None,
        gaze_tokenizer: None,
        ..Preset::Tiny.config()
    };
    of(config, step)
}

/// A training of any model.
pub(crate) fn of(config: ModelConfig, step: u64) -> Checkpoint {
    tch::set_num_threads(1);
    let mut tensors = BTreeMap::new();
    for tensor in expected_tensors(&config, WeightsPart::Model).unwrap() {
        let sizes: Vec<i64> = tensor.shape.iter().map(|&size| size as i64).collect();
        let values = |offset: i64| {
            let n = sizes.iter().product::<i64>();
            let values = Tensor::arange_start(offset, offset + n, (Kind::Float, Device::Cpu)).reshape(&sizes);
            values * (step as f64 + 0.1)
        };
        tensors.insert(format!("optimizer.first.{}", tensor.name), values(1));
        tensors.insert(format!("optimizer.second.{}", tensor.name), values(2));
        tensors.insert(tensor.name, values(3));
    }
    let state = json!({"schedule": {"tokens": step * 1000}, "learning_rate": 1e-3 / (step as f64 + 3.0)});
    Checkpoint { step, config, part: WeightsPart::Model, tensors, state }
}

/// The bits of all tensors.
pub(crate) fn bits(checkpoint: &Checkpoint) -> BTreeMap<String, (Vec<i64>, Vec<u32>)> {
    let read = |tensor: &Tensor| -> Vec<u32> {
        let flat = tensor.detach().contiguous().reshape([-1]);
        let mut values = vec![0.0_f32; flat.numel()];
        flat.copy_data(&mut values, flat.numel());
        values.into_iter().map(f32::to_bits).collect()
    };
    checkpoint.tensors.iter().map(|(name, tensor)| (name.clone(), (tensor.size(), read(tensor)))).collect()
}

/// What a folder holds.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
