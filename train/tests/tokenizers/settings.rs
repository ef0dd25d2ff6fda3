//! Presets, schedule, the order of clips, and where training starts.

use crate::clips::config;
use crate::stored::Stored;
use egom2p_model::{Modality, Preset, tokenizer_halves};
use egom2p_train::no_weight_decay;
use egom2p_train::tokenizers::{
    ClipOrder, MotionTokenizer, SettingsSource, Tokenizer, TokenizerError, TokenizerSettings, VideoLoss, VideoTokenizer,
};
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

fn settings(source: SettingsSource) -> TokenizerSettings {
    TokenizerSettings::motion(Modality::Gaze, source).unwrap()
}

#[test]
fn paper_and_published_settings_differ_in_the_second_beta() {
    let (paper, published) = (settings(SettingsSource::Paper), settings(SettingsSource::Published));
    assert_eq!((paper.optimizer.betas, published.optimizer.betas), ((0.9, 0.95), (0.9, 0.99)));
    let mut same = paper;
    same.optimizer.betas = published.optimizer.betas;
    assert_eq!(same, published);
    let camera = TokenizerSettings::motion(Modality::Camera, SettingsSource::Paper).unwrap();
    assert_eq!((camera.learning_rate, paper.learning_rate), (5e-5, 1e-4));
    for source in SettingsSource::ALL {
        assert_eq!(SettingsSource::from_name(source.name()), Some(source));
    }
    let video = TokenizerSettings::motion(Modality::Rgb, SettingsSource::Paper);
    assert!(matches!(video, Err(TokenizerError::Modality { modality: "rgb", .. })));
}

#[test]
fn the_schedule_is_the_published_one() {
    let Some(stored) = Stored::published("host_functions") else { return };
    let expected = Vec::<f64>::try_from(stored.tensor("lr_tokenizer/value")).unwrap();
    let schedule = settings(SettingsSource::Published).schedule(10 * 512 + 511).unwrap();
    assert_eq!(schedule.total_steps, expected.len() as u64);
    for (step, expected) in expected.into_iter().enumerate() {
        let actual = schedule.learning_rate(step as u64);
        assert!((actual - expected).abs() <= 1e-15, "step {step}: {actual}, expected {expected}");
    }
}

#[test]
fn too_few_clips_and_impossible_epochs_are_refused() {
    let mut settings = settings(SettingsSource::Paper);
    assert!(matches!(settings.schedule(511), Err(TokenizerError::Setting { name: "batch", .. })));
    (settings.epochs, settings.warmup_epochs) = (4, 5);
    assert!(matches!(settings.schedule(512), Err(TokenizerError::Setting { name: "warmup_epochs", .. })));
    (settings.warmup_epochs, settings.learning_rate) = (1, f64::NAN);
    let error = settings.schedule(512).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2, "{error}");
}

#[test]
fn every_epoch_has_every_clip_once_and_ranks_share_its_batches() {
    let mut settings = settings(SettingsSource::Paper);
    settings.batch = 6;
    let mut order = ClipOrder::new(20, &settings).unwrap();
    let mut epoch = |first: u64| -> Vec<usize> {
        (first..first + 3).flat_map(|step| order.batch(step, 0, 1).unwrap().to_vec()).collect()
    };
    let (first, second) = (epoch(0), epoch(3));
    for epoch in [&first, &second] {
        assert_eq!(epoch.iter().collect::<BTreeSet<_>>().len(), 18);
    }
    assert_ne!(first, second);
    let mut fresh = ClipOrder::new(20, &settings).unwrap();
    let parts: Vec<usize> = (0..3).flat_map(|rank| fresh.batch(4, rank, 3).unwrap().to_vec()).collect();
    assert_eq!(parts, second[6..12]);
    assert!(fresh.batch(0, 0, 4).is_err() && fresh.batch(0, 3, 3).is_err());
}

/// 204 tensors keep their size and 104 decay (specification section 5.4).
#[test]
fn weight_decay_takes_the_published_groups() {
    for modality in [Modality::Camera, Modality::Gaze] {
        let halves = tokenizer_halves(&Preset::Base.config(), modality).unwrap();
        let names = halves.analysis.params().chain(halves.synthesis.params()).map(|(name, _)| name);
        let learned: Vec<_> = names.filter(|name| !name.ends_with("position_embeddings")).collect();
        let n_kept = learned.iter().filter(|name| no_weight_decay(name)).count();
        assert_eq!((n_kept, learned.len() - n_kept), (204, 104), "{modality}");
    }
}

/// Fails unless values are spread evenly between the bounds: all inside, some in the outer tenth, of the mean and deviation of
/// a uniform draw within four standard errors.
fn assert_uniform(name: &str, tensor: &Tensor, bound: f64) {
    let values = tensor.to_kind(Kind::Double) / bound;
    let n = values.numel() as f64;
    assert!(values.abs().max().double_value(&[]) <= 1.0 + 1e-6, "{name} leaves {bound}");
    assert!(n < 100.0 || values.abs().max().double_value(&[]) > 0.9, "{name} does not reach {bound}");
    let (mean, square) =
        (values.mean(Kind::Double).double_value(&[]), values.square().mean(Kind::Double).double_value(&[]));
    assert!(mean.abs() < 4.0 / (3.0 * n).sqrt(), "{name}: mean {mean}");
    assert!((square - 1.0 / 3.0).abs() < 4.0 * (4.0 / 45.0 / n).sqrt(), "{name}: mean square {square}");
}

#[test]
fn motion_tokenizers_start_as_published() {
    tch::set_num_threads(1);
    let tokenizer =
        MotionTokenizer::new(&config(), Modality::Gaze, &settings(SettingsSource::Paper), Device::Cpu).unwrap();
    let tensors = tokenizer.tensors();
    let tensor = |name: &str| tensors.iter().find(|(own, _)| *own == name).unwrap_or_else(|| panic!("no {name}")).1;
    let bounds = [
        ("encoder.conv.weight", (6.0 / (32.0 + 4.0_f64)).sqrt()),
        ("encoder.conv.bias", (1.0 / 4.0_f64).sqrt()),
        ("encoder.blocks.0.attn.qkv.weight", (6.0 / (32.0 + 32.0_f64)).sqrt()),
        ("decoder.blocks.0.mlp.fc1.weight", (6.0 / (64.0 + 32.0_f64)).sqrt()),
        ("decoder.out_proj.weight", (6.0 / (4.0 + 32.0_f64)).sqrt()),
        ("quant_proj.weight", (1.0 / 32.0_f64).sqrt()),
        ("quant_proj.bias", (1.0 / 32.0_f64).sqrt()),
        ("post_quant_proj.weight", (1.0 / 8.0_f64).sqrt()),
        ("post_quant_proj.bias", (1.0 / 8.0_f64).sqrt()),
    ];
    for (name, bound) in bounds {
        assert_uniform(name, tensor(name), bound);
    }
    for (name, value) in [
        ("encoder.norm_mlp.weight", 1.0),
        ("encoder.blocks.0.norm1.bias", 0.0),
        ("encoder.blocks.0.attn.qkv.bias", 0.0),
        ("decoder.out_proj.bias", 0.0),
        ("quantize._codebook.cluster_size", 0.0),
        ("quantize._codebook.initted", 1.0),
    ] {
        assert!(tensor(name).eq(value).all().int64_value(&[]) == 1, "{name} is not {value}");
    }
    let lengths = tensor("quantize._codebook.embed").norm_scalaropt_dim(2.0, [1_i64], false);
    assert!((lengths - 1.0).abs().max().double_value(&[]) < 1e-6);
    assert_eq!(tensor("encoder.position_embeddings"), tensor("decoder.position_embeddings"));
    let learned: Vec<_> = tokenizer.trainable().into_iter().map(|(name, _)| name).collect();
    assert!(learned.iter().all(|name| !name.ends_with("position_embeddings") && !name.starts_with("quantize.")));
}

#[test]
fn the_video_tokenizer_starts_as_convolutions_do() {
    tch::set_num_threads(1);
    let tokenizer = VideoTokenizer::new(&Preset::Tiny.config(), VideoLoss::default(), 3, Device::Cpu).unwrap();
    let tensors = tokenizer.tensors();
    let tensor = |name: &str| tensors.iter().find(|(own, _)| *own == name).unwrap_or_else(|| panic!("no {name}")).1;
    for (layer, fan_in) in
        [("encoder.conv_in.0", 192.0 * 9.0), ("encoder.conv_in.1", 32.0 * 3.0), ("post_quant_conv", 4.0_f64)]
    {
        for part in ["weight", "bias"] {
            let name = format!("{layer}.conv3d.{part}");
            assert_uniform(&name, tensor(&name), (1.0 / fan_in).sqrt());
        }
    }
    assert!(tensor("encoder.norm_out.norm.weight").eq(1.0).all().int64_value(&[]) == 1);
    assert!(tensor("encoder.norm_out.norm.bias").eq(0.0).all().int64_value(&[]) == 1);
}
