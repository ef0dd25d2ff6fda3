//! The loop of pretraining on a small model and clips made up on the spot.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

mod clips;
mod failures;
mod learning;
mod resuming;
mod settings;

use clips::{Clips, config};
use egom2p_train::{Initial, Pretraining, PretrainingSettings};
use tch::Device;

/// A training of the small model.
fn training(settings: &PretrainingSettings, clips: Clips) -> Pretraining {
    tch::set_num_threads(1);
    let initial = Initial::new(&config(), settings.seed);
    Pretraining::new(settings, &config(), &initial, Box::new(clips), Device::Cpu).unwrap()
}

/// The bits of every tensor of its checkpoint.
fn bits(training: &Pretraining) -> Vec<(String, Vec<u32>)> {
    let checkpoint = training.checkpoint().unwrap();
    let bits = |tensor: &tch::Tensor| {
        Vec::<f32>::try_from(tensor.reshape([-1])).unwrap().into_iter().map(f32::to_bits).collect()
    };
    checkpoint.tensors.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
}
