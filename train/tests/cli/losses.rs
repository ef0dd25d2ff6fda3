//! Losses that are no numbers: the training stops, says where, and keeps what is good.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::fs;

/// Whether all values of a weights file are finite.
fn is_finite(bytes: &[u8]) -> bool {
    let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
    tensors
        .iter()
        .all(|(_, tensor)| tensor.data().as_chunks::<4>().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite()))
}

#[test]
fn a_tokenizer_that_diverges_keeps_its_last_good_checkpoint() {
    let bench = Bench::with_clips().with_settings(10);
    for (name, place) in [("gaze", "/gaze/"), ("video", "/rgb/")] {
        let mut settings: Value = serde_json::from_slice(&bench.read(&format!("{name}.json"))).unwrap();
        (settings["learning_rate"], settings["epochs"]) = (json!(1e30), json!(20));
        bench.write_json("steep.json", &settings);
        let line = format!("tokenizer {name} --data clips --config config.json --settings steep.json --out {name}");
        let error = bench.error(&format!("{line} --checkpoint-every 1"));
        assert!(error.contains(" at step ") && error.contains(place), "{error}");
        assert!(error.contains("lower learning rate"), "{error}");
        let newest = bench.newest(name);
        assert_ne!(newest, format!("{name}/checkpoints/step-00000000"), "{error}");
        assert!(is_finite(&bench.read(&format!("{newest}/{name}.safetensors"))));
        // Nothing is learned by coming back to it.
        assert_eq!(bench.error(&format!("tokenizer {name} --data clips --out {name} --resume")), error);
        assert_eq!(bench.newest(name), newest);
    }
}

#[test]
fn weights_that_are_no_numbers_are_found_in_the_first_step() {
    let bench = Bench::with_clips().with_settings(20).with_tokens();
    let data = "tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000001}.tar";
    bench.succeed(&format!("pretrain --data {data} --settings main.json --config config.json --out model --steps 1"));
    let path = bench.path(&bench.newest("model")).join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let n_header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let n_values = (bytes.len() - 8 - n_header) / 4;
    for value in 0..n_values {
        let at = 8 + n_header + 4 * value;
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let weights = bench.path("weights");
    fs::create_dir(&weights).unwrap();
    fs::write(weights.join("model.safetensors"), bytes).unwrap();
    fs::copy(bench.path("config.json"), weights.join("config.json")).unwrap();
    let error = bench.error(&format!("posttrain --weights weights --data {data} --settings main.json --out tuned"));
    assert!(error.starts_with("error: the loss of step 0 is NaN, with samples 0000000"), "{error}");
    assert!(error.contains(" of rooms, 0000000"), "{error}");
    assert_eq!(bench.newest("tuned"), "tuned/checkpoints/step-00000000");
    assert_eq!(bench.read("tuned/metrics.jsonl"), b"");
}
