use super::clips::{Clips, config, settings};
use super::{bits, training};
use egom2p_train::checkpoint::{Checkpoint, latest, load, save};
use egom2p_train::{Pretraining, PretrainingError, StepReport, Validation};
use tch::Device;

/// Everything about steps but how long they took.
fn untimed(reports: Vec<StepReport>) -> Vec<StepReport> {
    reports.into_iter().map(|report| StepReport { duration_secs: 0.0, ..report }).collect()
}

fn steps(training: &mut Pretraining, n: usize) -> Vec<StepReport> {
    untimed((0..n).map(|_| training.step().unwrap().unwrap()).collect())
}

/// The tensors that differ in any bit.
fn differences(left: &Pretraining, right: &Pretraining) -> Vec<String> {
    let (left, right) = (bits(left), bits(right));
    assert_eq!(left.len(), right.len());
    left.into_iter().zip(right).filter(|(left, right)| left != right).map(|(left, _)| left.0).collect()
}

fn copied(training: &Pretraining) -> Checkpoint {
    let checkpoint = training.checkpoint().unwrap();
    let tensors = checkpoint.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
    Checkpoint { tensors, ..checkpoint }
}

fn validation() -> Validation {
    Validation::new(&config(), &Clips::from(1000).take(8), &Clips::from(0).take(8), 4, Device::Cpu).unwrap()
}

#[test]
fn a_resumed_training_is_the_uninterrupted_one_to_the_bit() {
    let settings = settings(4, 2, 12);
    let mut whole = training(&settings, Clips::from(0));
    let reports = steps(&mut whole, 6);

    let mut first = training(&settings, Clips::from(0));
    let mut parts = steps(&mut first, 3);
    let checkpoint = copied(&first);
    // What was copied stays as it was.
    steps(&mut first, 1);
    let mut second = training(&settings, Clips::from(77));
    steps(&mut second, 2);
    second.restore(&checkpoint).unwrap();
    assert_eq!(second.progress().steps, 3);
    parts.extend(steps(&mut second, 3));

    assert_eq!(parts, reports);
    assert_eq!(second.progress(), whole.progress());
    assert_eq!(differences(&second, &whole), [""; 0]);
    assert_eq!(second.checkpoint().unwrap().state, whole.checkpoint().unwrap().state);
}

#[test]
fn a_training_resumes_from_the_disk_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(4, 4, 12);
    let mut whole = training(&settings, Clips::from(0));
    whole.set_validation(validation());
    steps(&mut whole, 2);
    let report = whole.validate(None).unwrap().unwrap();
    save(folder.path(), &whole.checkpoint().unwrap(), 1).unwrap();
    steps(&mut whole, 3);

    let path = latest(folder.path()).unwrap().unwrap();
    let mut resumed = training(&settings, Clips::from(0));
    resumed.set_validation(validation());
    resumed.restore(&load(&path, Device::Cpu).unwrap()).unwrap();
    steps(&mut resumed, 3);
    assert_eq!(differences(&resumed, &whole), [""; 0]);
    // The best evaluations came back: the same network again is no improvement.
    assert!(report.tasks.iter().all(|task| task.improved && task.best_step == 2));
    resumed.restore(&load(&path, Device::Cpu).unwrap()).unwrap();
    assert!(resumed.validate(None).unwrap().unwrap().tasks.iter().all(|task| !task.improved && task.best_step == 2));
}

#[test]
fn a_schedule_ends() {
    let mut training = training(&settings(2, 2, 3), Clips::from(0));
    assert_eq!(training.schedule().total_steps, 3);
    let reports = steps(&mut training, 3);
    let rates: Vec<f64> = reports.iter().map(|report| report.learning_rate).collect();
    let expected: Vec<f64> = (0..3).map(|step| training.schedule().learning_rate(step)).collect();
    assert_eq!(rates, expected);
    assert_eq!(training.step().unwrap(), None);
    assert_eq!(training.progress().samples, 6);
    assert_eq!(training.progress().tokens, reports.iter().map(|report| report.n_tokens).sum::<u64>());
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let ours = settings(4, 2, 12);
    let mut training = training(&ours, Clips::from(0));
    steps(&mut training, 1);
    let before = bits(&training);
    let good = copied(&training);
    let copy = || {
        let tensors = good.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
        Checkpoint { tensors, state: good.state.clone(), config: good.config.clone(), ..good }
    };
    let mut refused = |change: &dyn Fn(&mut Checkpoint), expected: &str| {
        let mut checkpoint = copy();
        change(&mut checkpoint);
        let message = training.restore(&checkpoint).unwrap_err().to_string();
        assert!(message.contains(expected) && message.lines().count() == 2, "{message}");
        assert_eq!(bits(&training), before);
    };
    refused(&|other| other.config.dim = 96, "model.dim is 96, expected 48");
    refused(&|other| other.state["settings"]["seed"] = 5.into(), "settings.seed is 5, expected 0");
    refused(&|other| other.state["settings"]["masking"]["alphas"][0] = 7.into(), "settings.masking.alphas");
    refused(&|other| other.state = serde_json::Value::Null, "the checkpoint's state");
    refused(&|other| other.step = 8, "step is 8, expected 1");
    refused(&|other| other.state["validation"] = serde_json::json!({ "camera": null }), "validation");
    refused(&|other| drop(other.tensors.remove("mask_token")), "tensor mask_token is missing");
    refused(
        &|other| drop(other.tensors.remove("optimizer.second.mask_token")),
        "optimizer.second.mask_token is missing",
    );
    let short = |other: &mut Checkpoint| {
        let tensor = other.tensors.get_mut("encoder_norm.weight").unwrap();
        *tensor = tensor.narrow(0, 0, 2);
    };
    refused(&short, "of shape [2], expected of shape [48]");
    training.restore(&copy()).unwrap();
    assert_eq!(bits(&training), before);
}

#[test]
fn a_position_that_the_stream_refuses_leaves_nothing_to_store() {
    let settings = settings(4, 2, 12);
    let mut training = training(&settings, Clips::from(0));
    let good = copied(&training);
    let mut bad = copied(&training);
    bad.state["stream"] = serde_json::Value::Null;
    assert!(matches!(training.restore(&bad), Err(PretrainingError::Data(_))));
    assert!(matches!(training.checkpoint(), Err(PretrainingError::Interrupted)));
    training.restore(&good).unwrap();
    steps(&mut training, 1);
}

#[test]
fn post_training_starts_from_the_weights_of_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut pretrained = training(&settings(4, 4, 6), Clips::from(0));
    steps(&mut pretrained, 3);
    let path = save(folder.path(), &pretrained.checkpoint().unwrap(), 1).unwrap();
    let weights = egom2p_model::weights::WeightsFile::open(&path.join("model.safetensors")).unwrap();
    let settings = settings(2, 2, 4);
    let post = Pretraining::new(&settings, &config(), &weights, Box::new(Clips::from(50)), Device::Cpu).unwrap();
    let parameters = |training: &Pretraining| -> Vec<_> {
        bits(training).into_iter().filter(|(name, _)| !name.starts_with("optimizer.")).collect()
    };
    assert_eq!(parameters(&post), parameters(&pretrained));
    assert_eq!(post.progress().steps, 0);
    assert_ne!(parameters(&post), parameters(&training(&settings, Clips::from(0))));
}
