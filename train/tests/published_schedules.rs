//! Learning rates and masking budgets against the published PyTorch code, where its values are at hand.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests panic where they fail, and say that they cannot run"
)]

use egom2p_model::{Modality, Preset, read_golden_json};
use egom2p_train::{Masking, MaskingSettings, PretrainingSettings, Schedule};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::PathBuf;

/// Draws per component; the reference has 1500.
const N_DRAWS: u64 = 12_000;
/// How far two estimates of the same moment may be apart, in standard errors of their difference: 280 are compared, of
/// which the largest of a normal distribution is expected at 3.
const STANDARD_ERRORS: f64 = 4.5;

fn golden_folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    let folder = std::env::var_os("EGOM2P_GOLDEN_DIR").map_or(beside, PathBuf::from);
    if !folder.join("host_functions.json").is_file() {
        eprintln!("skipped: there is no host_functions in {}", folder.display());
        return None;
    }
    Some(folder)
}

fn eights(bytes: &[u8], name: &str) -> Vec<[u8; 8]> {
    SafeTensors::deserialize(bytes).unwrap().tensor(name).unwrap().data().as_chunks().0.to_vec()
}

#[test]
fn learning_rates_are_the_published_ones() {
    let Some(folder) = golden_folder() else { return };
    let bytes = std::fs::read(folder.join("host_functions.safetensors")).unwrap();
    let schedule = PretrainingSettings::published().schedule();
    assert_eq!((schedule.warmup_steps, schedule.total_steps), (2385, 120_048));
    let steps = eights(&bytes, "lr/index").into_iter().map(|step| i64::from_le_bytes(step) as u64);
    let rates: Vec<f64> = eights(&bytes, "lr/value").into_iter().map(f64::from_le_bytes).collect();
    assert_eq!(rates.len(), 138);
    compare(schedule, &steps.collect::<Vec<_>>(), &rates, 1e-15);
    let tokenizer =
        Schedule { peak_learning_rate: 1e-4, final_learning_rate: 0.0, warmup_steps: 50, total_steps: 2000 };
    let rates: Vec<f64> = eights(&bytes, "lr_tokenizer/value").into_iter().map(f64::from_le_bytes).collect();
    compare(tokenizer, &(0..2000).collect::<Vec<_>>(), &rates, 1e-15);
}

fn compare(schedule: Schedule, steps: &[u64], rates: &[f64], tolerance: f64) {
    assert_eq!(steps.len(), rates.len());
    for (&step, rate) in steps.iter().zip(rates) {
        let actual = schedule.learning_rate(step);
        assert!((actual - rate).abs() <= tolerance, "step {step}: {actual:e}, expected {rate:e}");
    }
}

#[test]
fn budgets_have_the_published_moments() {
    let Some(folder) = golden_folder() else { return };
    let about = read_golden_json(&std::fs::read_to_string(folder.join("host_functions.json")).unwrap()).unwrap();
    let mut n_compared = 0;
    for (name, set) in about["budgets"].as_object().unwrap() {
        let keys: Vec<&str> = set["modalities"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
        let modalities: Vec<Modality> =
            Modality::ALL.into_iter().filter(|modality| keys.contains(&modality.published_key())).collect();
        for component in set["components"].as_array().unwrap() {
            let what = format!("{name}, alpha {}", component["alpha"]);
            n_compared += compare_component(&what, &modalities, component, set["draws"].as_f64().unwrap());
        }
    }
    assert_eq!(n_compared, 2 * 4 * (4 * 3 + 1 + 3 * 3 + 1 + 3 * 3 + 1));
}

fn compare_component(what: &str, modalities: &[Modality], component: &Value, n_reference: f64) -> usize {
    let alphas = vec![component["alpha"].as_f64().unwrap()];
    let settings = MaskingSettings { alphas, ..PretrainingSettings::published().masking };
    let masking = Masking::new(&settings, &Preset::Base.config(), 0);
    let present = Modality::ALL.map(|modality| modalities.contains(&modality));
    let draws: Vec<_> = (0..N_DRAWS).map(|index| masking.budgets(present, index)).collect();
    let mut n_compared = 0;
    for (side, of_visible) in [("in", true), ("out", false)] {
        let budget = |draw: usize| if of_visible { draws[draw].visible } else { draws[draw].targets };
        let column = |modality: Modality| -> Vec<f64> {
            (0..draws.len()).map(|draw| budget(draw)[modality.index()] as f64).collect()
        };
        let totals: Vec<f64> = (0..draws.len()).map(|draw| budget(draw).iter().sum::<usize>() as f64).collect();
        let compare = |moment: &str, ours: Estimate, expected: f64| {
            ours.assert_near(&format!("{what}: {moment}_{side}"), expected, n_reference);
        };
        compare("mean_total", Estimate::mean(&totals), component[format!("mean_total_{side}")].as_f64().unwrap());
        n_compared += 1;
        for (index, &modality) in modalities.iter().enumerate() {
            let values = column(modality);
            let expected = |moment: &str| component[format!("{moment}_{side}")][index].as_f64().unwrap();
            compare("mean", Estimate::mean(&values), expected("mean"));
            compare("std", Estimate::deviation(&values), expected("std"));
            let zeros: Vec<f64> = values.iter().map(|&value| f64::from(value == 0.0)).collect();
            compare("frac_zero", Estimate::mean(&zeros), expected("frac_zero"));
            n_compared += 3;
        }
    }
    n_compared
}

/// A moment from draws.
struct Estimate {
    value: f64,
    /// The standard error of an estimate from one draw.
    error: f64,
}

impl Estimate {
    fn mean(values: &[f64]) -> Self {
        Self { value: central(values, 0.0, 1), error: central(values, central(values, 0.0, 1), 2).sqrt() }
    }

    fn deviation(values: &[f64]) -> Self {
        let mean = central(values, 0.0, 1);
        let (second, fourth) = (central(values, mean, 2), central(values, mean, 4));
        // The variance of a sample variance is (m4 - m2^2) / n; a root halves its relative error.
        let error =
            if second == 0.0 { 0.0 } else { (fourth - second * second).max(0.0).sqrt() / (2.0 * second.sqrt()) };
        Self { value: second.sqrt(), error }
    }

    fn assert_near(&self, what: &str, expected: f64, n_reference: f64) {
        let error = self.error * (1.0 / N_DRAWS as f64 + 1.0 / n_reference).sqrt();
        let difference = (self.value - expected).abs();
        // A probability of one in some thousands may have been missed by the reference altogether.
        let resolution = 0.5 / n_reference;
        let allowed = STANDARD_ERRORS * error + resolution;
        assert!(difference <= allowed, "{what}: {}, expected {expected}, allowed difference {allowed}", self.value);
    }
}

fn central(values: &[f64], centre: f64, power: i32) -> f64 {
    values.iter().map(|value| (value - centre).powi(power)).sum::<f64>() / values.len() as f64
}
