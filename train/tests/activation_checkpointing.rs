//! A network whose blocks are computed twice learns exactly what it learns otherwise.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use egom2p_calibration::Precision;
use egom2p_model::{Modality, ModelConfig, Preset};
use egom2p_train::{Batch, BatchRow, Initial, LossKind, Network, Selection};
use tch::{Device, Tensor};

/// Two samples of different lengths, so that there are pads.
fn batch(config: &ModelConfig) -> Batch {
    let selection = |modality: Modality, first: usize, n: usize| {
        let positions: Vec<i64> = (0..n).map(|index| (2 * index + first) as i64).collect();
        Selection { modality, tokens: positions.clone(), positions }
    };
    let row = |n: usize| {
        let [visible, targets] =
            [0, 1].map(|first| Modality::ALL.map(|modality| selection(modality, first, n)).to_vec());
        BatchRow { visible, targets }
    };
    Batch::new(config, &[row(9), row(5)], Device::Cpu).unwrap()
}

/// The loss and all gradients by name, as bits.
fn learned(network: &Network, batch: &Batch) -> (u64, Vec<(String, Vec<u32>)>) {
    let loss = network.losses(batch).unwrap().total(LossKind::Mod).unwrap().unwrap();
    loss.backward();
    let bits = |gradient: &Tensor| {
        let values = Vec::<f32>::try_from(&gradient.flatten(0, -1)).unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    let gradients = network.trainable().map(|(name, tensor)| (name.to_owned(), bits(&tensor.grad()))).collect();
    (loss.double_value(&[]).to_bits(), gradients)
}

#[test]
fn losses_and_gradients_are_the_same_to_the_bit() {
    tch::set_num_threads(1);
    let config = Preset::Tiny.config();
    let batch = batch(&config);
    for precision in [Precision::Fp32, Precision::Bf16] {
        let network = || Network::new(&config, &Initial::new(&config, 3), precision, Device::Cpu).unwrap();
        let kept = learned(&network(), &batch);
        let checkpointed = learned(&network().checkpointed(), &batch);
        assert_eq!(kept.0, checkpointed.0, "{precision}: the loss");
        for (kept, checkpointed) in kept.1.iter().zip(&checkpointed.1) {
            assert!(kept == checkpointed, "{precision}: the gradient of {}", kept.0);
        }
        let n_moved = kept.1.iter().filter(|(_, gradient)| gradient.iter().any(|bits| bits << 1 != 0)).count();
        assert!(n_moved * 10 > kept.1.len() * 9, "only {n_moved} parameters have a gradient");
    }
}
