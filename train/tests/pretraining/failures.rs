use super::clips::{Clips, VOCABULARY, config, settings};
use super::{bits, training};
use egom2p_graph::{ParameterError, Parameters};
use egom2p_train::{AdamW, Initial, Pretraining, PretrainingError, PretrainingSettings, TrainError};
use tch::{Device, Kind, Tensor};

/// An RGB token that no clip but the odd one has, with a row of NaN in the encoder's table.
const POISON: i64 = VOCABULARY as i64 - 1;

struct Poisoned(Initial);

impl Parameters for Poisoned {
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParameterError> {
        let mut values = self.0.parameter(name, shape)?;
        if name == "encoder_embeddings.tok_rgb.token_emb.weight" {
            values[POISON as usize * shape[1]..].fill(f32::NAN);
        }
        Ok(values)
    }
}

/// All that a sample has is visible, as far as it is not asked for.
fn open_settings() -> PretrainingSettings {
    let mut settings = settings(4, 2, 10);
    settings.masking.visible_tokens = 24;
    settings.masking.alphas = vec![1e6];
    settings
}

#[test]
fn a_loss_that_is_no_number_names_its_samples_and_moves_nothing() {
    tch::set_num_threads(1);
    let odd = 11;
    let clips = Clips { odd, odd_token: POISON, ..Clips::from(0) };
    let parameters = Poisoned(Initial::new(&config(), 0));
    let mut training =
        Pretraining::new(&open_settings(), &config(), &parameters, Box::new(clips), Device::Cpu).unwrap();
    training.step().unwrap().unwrap();
    training.step().unwrap().unwrap();
    let good = training.checkpoint().unwrap();
    let before = bits(&training);
    let error = training.step().unwrap_err();
    let PretrainingError::NotFinite { step: 2, value, ref samples, .. } = error else { panic!("{error}") };
    assert!(value.is_nan());
    // Clips 10 and 11 were in the network together.
    let names: Vec<String> = samples.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["clip-10 of dataset 0", "clip-11 of dataset 1"]);
    let message = error.to_string();
    assert!(
        message.contains("the loss of step 2 is NaN, with samples clip-10 of dataset 0, clip-11 of dataset 1"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 2, "{message}");

    assert!(matches!(training.step(), Err(PretrainingError::Interrupted)));
    assert!(matches!(training.checkpoint(), Err(PretrainingError::Interrupted)));
    training.restore(&good).unwrap();
    assert_eq!(bits(&training), before);
    assert_eq!(training.progress().steps, 2);
}

#[test]
fn samples_that_do_not_fit_are_named() {
    let clips = Clips { odd: 2, odd_token: VOCABULARY as i64, ..Clips::from(0) };
    let mut strange = training(&open_settings(), clips);
    let mut message = String::new();
    for _ in 0..10 {
        if let Err(error) = strange.step() {
            message = error.to_string();
            break;
        }
    }
    assert!(message.contains("samples clip-2 of dataset 0, clip-3 of dataset 1: rgb token 8"), "{message}");
    assert_eq!(message.lines().count(), 2, "{message}");

    let mut config = config();
    config.video.height *= 2;
    let initial = Initial::new(&config, 0);
    let clips = Box::new(Clips::from(0));
    let mut longer = Pretraining::new(&open_settings(), &config, &initial, clips, Device::Cpu).unwrap();
    let message = longer.step().unwrap_err().to_string();
    assert!(message.contains("sample clip-0 of dataset 0: expected 24 depth tokens, got 12"), "{message}");
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn a_gradient_that_is_no_number_moves_nothing() {
    let parameter = Tensor::zeros([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let settings = PretrainingSettings::published().optimizer;
    let mut optimizer = AdamW::new([("weight", &parameter)], settings).unwrap();
    // The slope of a root at 0 is infinite.
    parameter.sqrt().sum(Kind::Float).backward();
    let error = optimizer.step(0.1).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { norm } if norm.is_infinite()), "{error}");
    assert_eq!(Vec::<f32>::try_from(&parameter).unwrap(), [0.0, 0.0]);
    assert_eq!(optimizer.n_steps(), 0);
    optimizer.clear_gradients().unwrap();
    assert!(optimizer.step(0.1).unwrap().abs() < f64::EPSILON);
}
