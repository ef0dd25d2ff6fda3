//! A training that is stored and gone on with is the one that never stopped, to the last bit.

use crate::clips::{clips, config};
use egom2p_model::{Modality, Preset};
use egom2p_train::tokenizers::{
    Alone, MotionTokenizer, SettingsSource, Tokenizer, TokenizerError, TokenizerSettings, TokenizerTraining, VideoLoss,
    VideoTokenizer,
};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

const N_CLIPS: usize = 16;

fn settings() -> TokenizerSettings {
    let mut settings = TokenizerSettings::motion(Modality::Gaze, SettingsSource::Paper).unwrap();
    (settings.batch, settings.epochs, settings.warmup_epochs, settings.learning_rate) = (4, 3, 1, 1e-3);
    settings
}

fn gaze() -> TokenizerTraining<MotionTokenizer> {
    tch::set_num_threads(1);
    let tokenizer = MotionTokenizer::new(&config(), Modality::Gaze, &settings(), Device::Cpu).unwrap();
    TokenizerTraining::new(tokenizer, &settings(), N_CLIPS).unwrap()
}

fn batch(step: u64) -> Tensor {
    clips(Modality::Gaze, 4 * step as usize, 4)
}

fn copied<T: Tokenizer>(training: &TokenizerTraining<T>) -> BTreeMap<String, Tensor> {
    training.state().into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect()
}

fn assert_same(actual: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>) {
    assert!(actual.keys().eq(expected.keys()));
    for (name, expected) in expected {
        assert_eq!(actual[name].detach(), *expected, "{name}");
    }
}

#[test]
fn a_restored_training_goes_on_exactly() {
    let mut whole = gaze();
    let mut stored = None;
    for step in 0..12 {
        if step == 5 {
            stored = Some(copied(&whole));
        }
        whole.step(&batch(step), &Alone).unwrap();
    }
    let mut resumed = gaze();
    resumed.step(&batch(40), &Alone).unwrap();
    resumed.restore(5, &stored.unwrap()).unwrap();
    for step in 5..12 {
        let report = resumed.step(&batch(step), &Alone).unwrap();
        assert_eq!(report.step, step);
    }
    assert_same(&copied(&resumed), &copied(&whole));
    assert_ne!(copied(&resumed), copied(&gaze()), "steps change something");
}

#[test]
fn the_state_holds_the_published_names() {
    let training = gaze();
    let state = training.state();
    for name in [
        "quantize._codebook.embed",
        "quantize._codebook.cluster_size",
        "quantize._codebook.initted",
        "quant_proj.weight",
    ] {
        assert!(state.contains_key(name), "{name}");
    }
    assert!(state.contains_key("optimizer.second.encoder.conv.weight"));
    assert!(!state.contains_key("optimizer.first.encoder.position_embeddings"));
}

#[test]
fn a_state_that_does_not_fit_changes_nothing() {
    let mut training = gaze();
    let before = copied(&training);
    let refused = |training: &mut TokenizerTraining<MotionTokenizer>,
                   change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut other: BTreeMap<String, Tensor> =
            before.iter().map(|(name, tensor)| (name.clone(), tensor + 1.0)).collect();
        change(&mut other);
        let error = training.restore(3, &other).unwrap_err();
        assert!(matches!(error, TokenizerError::State { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 2);
    };
    let bias = "quant_proj.bias";
    refused(&mut training, &|state| drop(state.remove(bias)));
    refused(&mut training, &|state| {
        drop(state.insert(bias.to_owned(), Tensor::zeros([9], (Kind::Float, Device::Cpu))));
    });
    refused(&mut training, &|state| drop(state.insert("stranger".to_owned(), state[bias].copy())));
    assert_same(&copied(&training), &before);
    assert_eq!(training.n_steps(), 0);
}

#[test]
fn a_loss_that_is_not_finite_changes_nothing() {
    let mut training = gaze();
    training.step(&batch(0), &Alone).unwrap();
    let before = copied(&training);
    let broken = batch(1) * f64::NAN;
    let error = training.step(&broken, &Alone).unwrap_err();
    assert!(matches!(error, TokenizerError::Loss { step: 1, .. }), "{error}");
    assert!(
        matches!(training.step(&batch(1).narrow(0, 0, 0), &Alone), Err(TokenizerError::Loss { .. })),
        "an empty batch"
    );
    assert_same(&copied(&training), &before);
    let mut other = gaze();
    for step in 0..2 {
        other.step(&batch(step), &Alone).unwrap();
    }
    training.step(&batch(1), &Alone).unwrap();
    assert_same(&copied(&training), &copied(&other));
}

#[test]
fn modalities_without_a_motion_tokenizer_are_refused() {
    let refused = MotionTokenizer::new(&config(), Modality::Depth, &settings(), Device::Cpu);
    assert!(matches!(refused, Err(TokenizerError::Modality { modality: "depth", .. })));
    let mut without = Preset::Tiny.config();
    (without.gaze_tokenizer, without.video_tokenizer) = (None, None);
    assert!(matches!(
        MotionTokenizer::new(&without, Modality::Gaze, &settings(), Device::Cpu),
        Err(TokenizerError::Stage(_))
    ));
    assert!(matches!(VideoTokenizer::new(&without, VideoLoss::Squared, 0, Device::Cpu), Err(TokenizerError::Stage(_))));
}
