//! Small tokenizers learn smooth trajectories that they have not seen.

use crate::clips::{CAMERA_DEVIATION, CAMERA_MEAN, clips, config};
use egom2p_model::{Modality, Stage, Variant, stage_graph};
use egom2p_torch::{TorchParameters, run};
use egom2p_train::tokenizers::{
    Alone, CameraErrors, ClipOrder, CodebookUsage, GazeErrors, MotionTokenizer, SettingsSource, Tokenizer,
    TokenizerSettings, TokenizerTraining, valid_squared_error,
};
use tch::{Device, Kind, Tensor};

const N_CLIPS: usize = 1024;
const N_HELD_OUT: usize = 64;

fn trained(modality: Modality) -> (TokenizerTraining<MotionTokenizer>, f64) {
    tch::set_num_threads(1);
    let mut settings = TokenizerSettings::motion(modality, SettingsSource::Published).unwrap();
    (settings.batch, settings.epochs, settings.warmup_epochs, settings.learning_rate) = (32, 20, 1, 2e-3);
    let tokenizer = MotionTokenizer::new(&config(), modality, &settings, Device::Cpu).unwrap();
    let mut training = TokenizerTraining::new(tokenizer, &settings, N_CLIPS).unwrap();
    let mut order = ClipOrder::new(N_CLIPS, &settings).unwrap();
    let all = clips(modality, 0, N_CLIPS);
    let mut first = None;
    for step in 0..training.schedule().total_steps {
        let places: Vec<i64> = order.batch(step, 0, 1).unwrap().iter().map(|&clip| clip as i64).collect();
        let report = training.step(&all.index_select(0, &Tensor::from_slice(&places)), &Alone).unwrap();
        first.get_or_insert(report.reconstruction);
        if step % 50 == 0 || step + 1 == training.schedule().total_steps {
            eprintln!("{report:?}");
        }
    }
    (training, first.unwrap())
}

/// Decoded held-out clips, the clips, and the share of codes that they use.
fn held_out(tokenizer: &MotionTokenizer) -> (Tensor, Tensor, CodebookUsage) {
    let clips = clips(tokenizer.modality(), N_CLIPS, N_HELD_OUT);
    let tokens = tokenizer.encode(&clips).unwrap();
    let mut usage = CodebookUsage::new(64);
    usage.add(&tokens).unwrap();
    eprintln!("codes used: {:.2}, perplexity {:.1}", usage.used_share(), usage.perplexity());
    (tokenizer.decode(&tokens).unwrap(), clips, usage)
}

#[test]
fn camera_is_learned() {
    let (training, first) = trained(Modality::Camera);
    let tokenizer = training.tokenizer();
    let (decoded, clips, usage) = held_out(tokenizer);
    let error = (&decoded - &clips).square().mean(Kind::Double).double_value(&[]);
    let constant =
        (&clips - clips.mean_dim(&[0_i64, 1][..], true, Kind::Float)).square().mean(Kind::Double).double_value(&[]);
    eprintln!("held-out error {error:.4}, first {first:.4}, of the mean {constant:.4}");
    assert!(error < 0.2 * constant && error < 0.1 * first, "{error} is too much beside {constant} and {first}");
    assert!(usage.used_share() > 0.5, "{}", usage.used_share());

    let mut errors = CameraErrors::new(CAMERA_MEAN, CAMERA_DEVIATION);
    errors.add(&decoded, &clips).unwrap();
    let mut still = CameraErrors::new(CAMERA_MEAN, CAMERA_DEVIATION);
    still.add(&clips.narrow(1, 0, 1).expand_as(&clips), &clips).unwrap();
    eprintln!("{errors:?}, without motion {still:?}");
    assert!(errors.rotation_radians() < 0.5 * still.rotation_radians(), "{errors:?} {still:?}");
    assert!(errors.translation_metres() < 0.5 * still.translation_metres(), "{errors:?} {still:?}");
    assert_stage_agrees(tokenizer, &clips);
}

#[test]
fn gaze_is_learned_from_what_is_valid() {
    let (training, first) = trained(Modality::Gaze);
    let tokenizer = training.tokenizer();
    let (decoded, clips, usage) = held_out(tokenizer);
    let error = valid_squared_error(&decoded, &clips).unwrap().double_value(&[]);
    let valid = clips.narrow(2, 2, 1);
    let mean =
        (clips.narrow(2, 0, 2) * &valid).sum_dim_intlist(&[0_i64, 1][..], true, Kind::Float) / valid.sum(Kind::Float);
    let constant = valid_squared_error(&mean.expand_as(&decoded), &clips).unwrap().double_value(&[]);
    eprintln!("held-out error {error:.4}, first {first:.4}, of the mean {constant:.4}");
    assert!(error < 0.1 * constant && error < 0.1 * first, "{error} is not a tenth of {constant} and {first}");
    assert!(usage.used_share() > 0.5, "{}", usage.used_share());
    let mut errors = GazeErrors::default();
    errors.add(&decoded, &clips).unwrap();
    assert!((2.0 * errors.mean_squared() - error).abs() < 1e-6 * error, "{errors:?} {error}");
    assert_stage_agrees(tokenizer, &clips);
}

/// The stages that engines are built from do the same with the trained weights.
fn assert_stage_agrees(tokenizer: &MotionTokenizer, clips: &Tensor) {
    let modality = tokenizer.modality();
    let mut parameters = TorchParameters::default();
    for (name, tensor) in tokenizer.tensors() {
        parameters.insert(name, tensor.shallow_clone());
    }
    let stage = |stage, input: &str, value: &Tensor| {
        let graph = stage_graph(&config(), stage, Variant::Default).unwrap();
        run(&graph, &[(input, value)], &parameters, Device::Cpu).unwrap().swap_remove(0).1
    };
    let tokens = tokenizer.encode(clips).unwrap();
    assert_eq!(stage(Stage::tokenizer(modality), modality.name(), clips), tokens);
    assert_eq!(stage(Stage::detokenizer(modality), "tokens", &tokens).detach(), tokenizer.decode(&tokens).unwrap());
}
