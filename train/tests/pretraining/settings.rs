use egom2p_train::data::Weighting;
use egom2p_train::{LossKind, PretrainingSettings, Schedule, TrainingPrecision};
use serde_json::{Value, json};

#[test]
fn presets_differ_where_the_paper_and_the_code_do() {
    let (paper, published) = (PretrainingSettings::paper(), PretrainingSettings::published());
    assert_eq!(published.schedule().total_steps, 120_048);
    assert_eq!(paper.schedule().total_steps, 119_210);
    let mut same = paper.clone();
    same.optimizer.betas.1 = 0.95;
    same.schedule.epoch_samples = Some(1_000_000);
    assert_eq!(same, published);
    for (name, preset) in [("paper", paper), ("published", published)] {
        assert_eq!(PretrainingSettings::preset(name).unwrap(), preset);
        assert_eq!(PretrainingSettings::from_json(&preset.to_json()).unwrap(), preset);
        assert!((preset.schedule().peak_learning_rate - 4e-4).abs() < 1e-18);
        assert_eq!((preset.precision, preset.loss), (TrainingPrecision::Bf16, LossKind::Mod));
    }
    let message = PretrainingSettings::preset("other").unwrap_err().to_string();
    assert_eq!(message, "no pretraining settings are called \"other\"\nuse paper or published");
}

#[test]
fn settings_are_this_json() {
    let expected = json!({
        "seed": 0,
        "initialization": "published",
        "precision": "bf16",
        "loss": "mod",
        "batch": { "samples": 1024, "samples_per_pass": 4 },
        "masking": {
            "visible_tokens": 2048,
            "target_tokens": 2048,
            "alphas": [0.01, 0.1, 1.0, 10.0],
            "visible_weights": { "camera": 1.0, "depth": 1.0, "gaze": 1.0, "rgb": 1.0 },
            "target_weights": { "camera": 1.0, "depth": 1.0, "gaze": 1.0, "rgb": 1.0 },
        },
        "sampling": "proportional",
        "optimizer": { "betas": [0.9, 0.95], "epsilon": 1e-8, "weight_decay": 0.05, "clip_norm": 1.0 },
        "schedule": {
            "base_learning_rate": 1e-4,
            "final_learning_rate": 0.0,
            "warmup_tokens": 10_000_000_000_u64,
            "total_tokens": 500_000_000_000_u64,
            "epoch_samples": 1_000_000,
        },
    });
    assert_eq!(json!(PretrainingSettings::published()), expected);
    for (loss, name) in [(LossKind::Mod, "mod"), (LossKind::Token, "token"), (LossKind::WeightedMod, "weighted_mod")] {
        assert_eq!((json!(loss), loss.name()), (json!(name), name));
    }
    assert_eq!(json!(Weighting::Logarithmic), json!("logarithmic"));
}

#[test]
fn impossible_settings_are_errors() {
    let refused = |pointer: &str, value: Value, expected: &str| {
        let mut settings = json!(PretrainingSettings::published());
        *settings.pointer_mut(pointer).unwrap() = value;
        let message = PretrainingSettings::from_json(&settings.to_string()).unwrap_err().to_string();
        assert!(message.contains(expected) && message.lines().count() == 2, "{pointer}: {message}");
    };
    refused("/batch/samples", json!(0), "batch.samples: expected from 1 to 1048576, got 0");
    refused("/batch/samples_per_pass", json!(0), "batch.samples_per_pass: expected a divisor of batch.samples, got 0");
    refused("/batch/samples_per_pass", json!(3), "batch.samples_per_pass: expected a divisor");
    refused("/masking/visible_tokens", json!(0), "masking.visible_tokens");
    refused("/masking/target_tokens", json!(1_u64 << 40), "masking.target_tokens");
    refused("/masking/alphas", json!([]), "masking.alphas: expected at least one alpha, got an empty list");
    refused("/masking/alphas/0", json!(0.0), "masking.alphas");
    refused("/optimizer/betas/1", json!(1.0), "optimizer.betas");
    refused("/optimizer/epsilon", json!(0), "optimizer.epsilon");
    refused("/optimizer/weight_decay", json!(-0.1), "optimizer.weight_decay");
    refused("/optimizer/clip_norm", json!(0), "optimizer.clip_norm");
    refused("/schedule/base_learning_rate", json!(-1.0), "schedule.base_learning_rate");
    refused("/schedule/total_tokens", json!(0), "schedule.total_tokens");
    refused("/schedule/warmup_tokens", json!(500_000_000_000_u64), "schedule.warmup_tokens");
    refused("/schedule/epoch_samples", json!(1023), "schedule.epoch_samples");
    refused("/precision", json!("fp16"), "unknown variant");
    refused("/loss", json!("all"), "unknown variant");
    let mut settings = json!(PretrainingSettings::published());
    settings["schedule"]["warm_up"] = json!(1);
    let message = PretrainingSettings::from_json(&settings.to_string()).unwrap_err().to_string();
    assert!(message.contains("unknown field `warm_up`") && message.lines().count() == 2, "{message}");
    settings["schedule"] = json!({ "base_learning_rate": 1e-4 });
    assert!(PretrainingSettings::from_json(&settings.to_string()).is_err());
}

#[test]
fn no_clipping_and_no_epochs_are_said_and_not_left_out() {
    let mut settings = PretrainingSettings::paper();
    settings.optimizer.clip_norm = None;
    assert_eq!(PretrainingSettings::from_json(&settings.to_json()).unwrap(), settings);
    for (part, field) in [("optimizer", "clip_norm"), ("schedule", "epoch_samples")] {
        let mut json = json!(settings);
        json[part].as_object_mut().unwrap().remove(field);
        let message = PretrainingSettings::from_json(&json.to_string()).unwrap_err().to_string();
        assert!(message.contains(field), "{message}");
    }
}

#[test]
#[allow(clippy::float_cmp, reason = "quarters and ends are exact")]
fn learning_rates_rise_and_fall() {
    let schedule = Schedule { peak_learning_rate: 1.0, final_learning_rate: 0.1, warmup_steps: 5, total_steps: 13 };
    let rates: Vec<f64> = (0..13).map(|step| schedule.learning_rate(step)).collect();
    assert_eq!(rates[..6], [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    assert!(rates[5..].is_sorted_by(|a, b| a > b) && rates.iter().all(|rate| (0.0..=1.0).contains(rate)));
    assert!((rates[9] - 0.55).abs() < 1e-12);
    assert_eq!([schedule.learning_rate(13), schedule.learning_rate(u64::MAX)], [0.1, 0.1]);
    let short = Schedule { warmup_steps: 1, total_steps: 1, ..schedule };
    assert_eq!([short.learning_rate(0), short.learning_rate(1)], [0.0, 0.1]);
    let none = Schedule { warmup_steps: 0, ..schedule };
    assert_eq!(none.learning_rate(0), 1.0);
}
