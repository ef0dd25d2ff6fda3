use super::clips::{Clips, VOCABULARY, config, settings};
use super::training;
use egom2p_model::Modality;
use egom2p_train::data::SampleStream;
use egom2p_train::{
    AdamW, Batch, LossKind, Masking, Pretraining, StepReport, TaskReport, TrainingPrecision, Validation,
};
use tch::{Device, Tensor};

/// What bfloat16 may move the first loss by, of which the logits' own precision is fp32: measured 4e-4.
const BF16_LOSS: f64 = 5e-3;

fn validation() -> Validation {
    Validation::new(&config(), &Clips::from(100_000).take(64), &Clips::from(0).take(64), 32, Device::Cpu).unwrap()
}

fn run(training: &mut Pretraining) -> Vec<StepReport> {
    std::iter::from_fn(|| training.step().unwrap()).collect()
}

fn camera(training: &mut Pretraining) -> TaskReport {
    let report = training.validate(None).unwrap().unwrap();
    let targets: Vec<Modality> = report.tasks.iter().map(|task| task.target).collect();
    assert_eq!(targets, [Modality::Camera, Modality::Depth, Modality::Gaze]);
    report.tasks[0].clone()
}

#[test]
fn slow_what_can_be_learned_is_learned() {
    let mut settings = settings(32, 32, 300);
    settings.masking.alphas = vec![0.1, 1.0, 10.0];
    let mut training = training(&settings, Clips::from(0));
    training.set_validation(validation());
    let chance = (VOCABULARY as f64 - 1.0).ln();
    let before = camera(&mut training);
    assert!((before.held_out - chance).abs() < 0.5, "{before:?}");
    assert!((before.exchanged.unwrap() - before.held_out).abs() < 0.1, "{before:?}");
    let reports = run(&mut training);
    let after = camera(&mut training);
    // The camera has the colour that most of RGB has; what is held out was never seen.
    assert!(after.held_out < 0.1 * chance, "{} to {}, chance {chance}", before.held_out, after.held_out);
    assert!(after.exchanged.unwrap() > chance, "{after:?}");
    assert!(after.improved && after.best_step == 300);
    let mean = |reports: &[StepReport]| reports.iter().map(|report| report.loss).sum::<f64>() / reports.len() as f64;
    let (first, last) = (mean(&reports[..50]), mean(&reports[250..]));
    assert!(last < 0.8 * first, "{first} to {last}");
    assert!(reports.iter().all(|report| report.tokens_per_sec() > 0.0 && report.gradient_norm > 0.0));
}

/// A stream that repeats its first clips.
struct Few(Clips, u64);

impl SampleStream for Few {
    fn next_sample(&mut self) -> Result<egom2p_train::data::Sample, egom2p_train::data::DataError> {
        self.0.next %= self.1;
        self.0.next_sample()
    }

    fn position(&self) -> serde_json::Value {
        self.0.position()
    }

    fn seek(&mut self, position: &serde_json::Value) -> Result<(), egom2p_train::data::DataError> {
        self.0.seek(position)
    }
}

#[test]
fn slow_overfitting_is_reported_and_the_best_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(16, 16, 400);
    let initial = egom2p_train::Initial::new(&config(), 0);
    tch::set_num_threads(1);
    let stream = Box::new(Few(Clips::from(0), 8));
    let mut training = Pretraining::new(&settings, &config(), &initial, stream, Device::Cpu).unwrap();
    let held_out = Clips::from(100_000).take(64);
    let trained = Clips::from(0).take(8);
    training.set_validation(Validation::new(&config(), &held_out, &trained, 32, Device::Cpu).unwrap());
    let mut last = None;
    while training.step().unwrap().is_some() {
        if training.progress().steps.is_multiple_of(50) {
            last = training.validate(Some(folder.path())).unwrap();
        }
    }
    // Gaze follows from nothing, so that eight clips can only be learned by heart.
    let gaze = last.unwrap().tasks[2].clone();
    assert!(gaze.overfitting && !gaze.improved && gaze.best_step < 400, "{gaze:?}");
    assert!(gaze.trained.unwrap() < gaze.best && gaze.best < gaze.held_out, "{gaze:?}");
    let best = egom2p_train::checkpoint::latest(&folder.path().join("best-gaze")).unwrap().unwrap();
    let checkpoint = egom2p_train::checkpoint::load(&best, Device::Cpu).unwrap();
    assert_eq!(checkpoint.step, gaze.best_step);
    assert_eq!(std::fs::read_dir(folder.path().join("best-gaze")).unwrap().count(), 1);
}

#[test]
fn gradients_of_passes_are_averaged() {
    let settings = settings(6, 2, 4);
    let mut training = training(&settings, Clips::from(0));
    let masking = Masking::new(&settings.masking, &config(), settings.seed);
    let samples = Clips::from(0).take(6);
    let other = super::training(&settings, Clips::from(0));
    let optimizer = AdamW::new(other.network().trainable(), settings.optimizer).unwrap();
    let (mut total, mut n_tokens, mut camera) = (Tensor::from(0_f32), 0, (0.0, 0));
    for (pass, samples) in samples.chunks(2).enumerate() {
        let mask = |(place, sample): (usize, &egom2p_train::data::Sample)| {
            masking.mask(&sample.tokens, (2 * pass + place) as u64).unwrap()
        };
        let rows: Vec<_> = samples.iter().enumerate().map(mask).collect();
        let batch = Batch::new(&config(), &rows, Device::Cpu).unwrap();
        n_tokens += batch.n_tokens() as u64;
        let losses = other.network().losses(&batch).unwrap();
        camera.0 += losses.value(Modality::Camera).unwrap() * losses.n_targets[0] as f64;
        camera.1 += losses.n_targets[0];
        total += losses.total(LossKind::Mod).unwrap().unwrap() / 3.0;
    }
    total.backward();
    let expected_norm = optimizer.gradient_norm().unwrap();
    let report = training.step().unwrap().unwrap();
    let near = |actual: f64, expected: f64| (actual / expected - 1.0).abs() < 1e-5;
    assert!(near(report.loss, total.double_value(&[])), "{report:?}");
    assert!(near(report.gradient_norm, expected_norm), "{report:?}, {expected_norm}");
    assert!(near(report.losses[0].unwrap(), camera.0 / camera.1 as f64), "{report:?}");
    assert_eq!(report.n_tokens, n_tokens);
}

#[test]
fn bfloat16_gives_nearly_the_same_loss() {
    let mut settings = settings(8, 8, 4);
    let single = training(&settings, Clips::from(0)).step().unwrap().unwrap();
    settings.precision = TrainingPrecision::Bf16;
    let half = training(&settings, Clips::from(0)).step().unwrap().unwrap();
    let difference = (half.loss / single.loss - 1.0).abs();
    assert!(difference > 0.0 && difference < BF16_LOSS, "{} and {}", single.loss, half.loss);
    assert!((half.gradient_norm / single.gradient_norm - 1.0).abs() < 0.1, "{half:?} {single:?}");
}

#[test]
fn the_weighted_losses_train_too() {
    for loss in [LossKind::Token, LossKind::WeightedMod] {
        let mut settings = settings(8, 8, 4);
        settings.loss = loss;
        let report = training(&settings, Clips::from(0)).step().unwrap().unwrap();
        assert!(report.loss.is_finite() && report.loss > 0.0 && report.gradient_norm > 0.0);
    }
}
