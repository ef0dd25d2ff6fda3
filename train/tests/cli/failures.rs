//! What was typed well but cannot be done: two lines, and nothing left behind.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::fs;

#[test]
fn what_is_not_there_fails() {
    let mut bench = Bench::new();
    fs::write(bench.path("notes.txt"), "mine").unwrap();
    fs::create_dir(bench.path("empty")).unwrap();
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/notes.txt"), "mine").unwrap();
    for line in [
        "synth --out clips --config nothing.json",
        "synth --out clips --config notes.txt",
        "synth --out full --config config.json",
        "synth --out notes.txt --config config.json",
        "tokenizer gaze --data nothing --out out --config config.json",
        "tokenizer gaze --data empty --out out --config config.json",
        "tokenizer gaze --data empty --out out --config config.json --settings nothing.json",
        "tokenizer gaze --data empty --out out --config config.json --settings notes.txt",
        "tokenizer gaze --data empty --out out --resume",
        "tokenize --data empty --tokenizers nothing --out tokens",
        "tokenize --data empty --tokenizers empty --out tokens",
        "pretrain --data nothing --out out --config config.json",
        "pretrain --data tokens/[rgb]/rooms/*.npz --out out --config config.json",
        "pretrain --data tokens/[rgb]/rooms/token/shard-{0..3}.tar --out out --resume",
        "pretrain --data tokens/[rgb]/rooms/token/shard-{0..3}.tar --out out --resume --preset egom2p-tiny",
        "posttrain --weights nothing --data tokens/[rgb]/rooms/*.npz --out out",
    ] {
        bench.fails(line);
    }
    insta::assert_snapshot!(bench.transcript());
}

#[test]
fn settings_that_do_not_fit_fail() {
    let mut bench = Bench::with_clips().with_settings(10);
    let change = |bench: &Bench, from: &str, to: &str, pointer: &str, value: Value| {
        let mut settings: Value = serde_json::from_slice(&bench.read(from)).unwrap();
        *settings.pointer_mut(pointer).unwrap() = value;
        bench.write_json(to, &settings);
    };
    change(&bench, "gaze.json", "batch.json", "/batch", json!(512));
    change(&bench, "gaze.json", "betas.json", "/optimizer/betas/1", json!(1.5));
    change(&bench, "video.json", "loss.json", "/video_loss", json!("cubic"));
    change(&bench, "config.json", "wide.json", "/video/width", json!(32));
    for line in [
        "tokenizer gaze --data clips --out out --config config.json",
        "tokenizer gaze --data clips --out out --config config.json --settings batch.json",
        "tokenizer gaze --data clips --out out --config config.json --settings betas.json",
        "tokenizer gaze --data clips --out out --config config.json --settings video.json",
        "tokenizer video --data clips --out out --config config.json --settings gaze.json",
        "tokenizer video --data clips --out out --config config.json --settings loss.json",
        "tokenizer video --data clips --out out --config wide.json --settings video.json",
        "synth --config wide.json --out clips",
    ] {
        bench.fails(line);
    }
    insta::assert_snapshot!(bench.transcript());
}

/// Every value of a file of settings that makes no sense is named.
#[test]
fn absurd_settings_are_named() {
    let mut bench = Bench::with_clips().with_settings(10);
    let gaze: Value = serde_json::from_slice(&bench.read("gaze.json")).unwrap();
    let main: Value = serde_json::from_slice(&bench.read("main.json")).unwrap();
    let data = "tokens/[rgb]/rooms/*.npz";
    for (settings, line, changes) in [
        (
            &gaze,
            "tokenizer gaze --data clips --out out --config config.json --settings changed.json".to_owned(),
            vec![
                ("/batch", json!(0)),
                ("/batch", json!(1_000_000)),
                ("/batch", json!(-4)),
                ("/epochs", json!(0)),
                ("/warmup_epochs", json!(7)),
                ("/learning_rate", json!(-1.0)),
                ("/learning_rate", json!("high")),
                ("/codebook/decay", json!(1.5)),
                ("/codebook/commitment_weight", json!(-1.0)),
                ("/codebook/dead_code_threshold", json!(-2.0)),
                ("/optimizer/epsilon", json!(0.0)),
                ("/optimizer/clip_norm", json!(0.0)),
                ("/optimizer/weight_decay", json!(-0.1)),
                ("/smell", json!(1)),
            ],
        ),
        (
            &main,
            format!("pretrain --data {data} --out out --config config.json --settings changed.json"),
            vec![
                ("/batch/samples", json!(0)),
                ("/batch/samples_per_pass", json!(3)),
                ("/masking/visible_tokens", json!(0)),
                ("/masking/target_tokens", json!(0)),
                ("/masking/alphas", json!([])),
                ("/masking/alphas", json!([0.0])),
                ("/precision", json!("fp8")),
                ("/loss", json!("mean")),
                ("/sampling", json!("sometimes")),
                ("/schedule/total_tokens", json!(0)),
                ("/schedule/warmup_tokens", json!(1_000_000_000)),
                ("/schedule/base_learning_rate", json!(1e30)),
                ("/optimizer/betas", json!([0.9, 1.0])),
                ("/smell", json!(1)),
            ],
        ),
    ] {
        for (pointer, value) in changes {
            let mut changed = settings.clone();
            match changed.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => changed[&pointer[1..]] = value,
            }
            bench.write_json("changed.json", &changed);
            bench.fails(&line);
        }
    }
    insta::assert_snapshot!(bench.transcript());
}
