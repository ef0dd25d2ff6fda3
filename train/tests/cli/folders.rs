//! Folders that cannot be written, that are full, that another process holds, or that hold something else.

use crate::bench::{Bench, failure};
use serde_json::{Value, json};
use std::fs::{self, File};

const DATA: &str = "tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000001}.tar";

#[test]
fn two_processes_do_not_write_into_one_folder() {
    let bench = Bench::with_clips().with_settings(20).with_tokens();
    bench.succeed(&format!("pretrain --data {DATA} --settings main.json --config config.json --out model --steps 2"));
    let tokenizers = ["gaze", "camera", "video"].map(|name| bench.newest(name)).join(" ");
    for (folder, line) in [
        ("model/checkpoints", format!("pretrain --data {DATA} --out model --resume")),
        ("gaze/checkpoints", "tokenizer gaze --data clips --out gaze --resume".to_owned()),
        ("tokens", format!("tokenize --data clips --tokenizers {tokenizers} --out tokens --shard-samples 4")),
        ("clips", "synth --config config.json --out clips --clips 16".to_owned()),
    ] {
        let held = File::open(bench.path(folder)).unwrap();
        held.lock().unwrap();
        let error = bench.error(&line);
        assert!(error.contains("another process "), "{line}: {error}");
        drop(held);
        bench.succeed(&line);
    }
}

#[test]
fn a_training_goes_on_with_its_own_data_and_sizes() {
    let mut bench = Bench::with_clips().with_settings(20).with_tokens();
    let held_out = "tokens/val/[rgb,depth,cam,gaze]/rooms/*.npz";
    bench.succeed(&format!(
        "pretrain --data {DATA} --validation {held_out} --settings main.json --config config.json --out model --steps 4"
    ));
    bench.succeed("synth --config config.json --out others --clips 16 --seed 1");
    let tokenizers = ["gaze", "camera", "video"].map(|name| bench.newest(name)).join(" ");
    let two = DATA.replace("000001}", "000000}");
    let walks = "tokens/train/[rgb,depth,cam]/walks/token/shard-000000.tar";
    let other_rooms = DATA.replace("tokens/", "other-tokens/");
    bench.succeed(&format!("tokenize --data others --tokenizers {tokenizers} --out other-tokens --shard-samples 2"));
    for line in [
        // Nothing to go on with, or something else.
        &format!("pretrain --data {DATA} --out nothing --resume"),
        &format!("pretrain --data {DATA} --out gaze --resume"),
        "tokenizer gaze --data clips --out model --resume",
        "tokenizer gaze --data clips --out camera --resume",
        "tokenizer gaze --data clips --out gaze --resume --preset egom2p-tiny",
        // What is there already is not begun anew.
        &format!("pretrain --data {DATA} --config config.json --settings main.json --out model"),
        "tokenizer gaze --data clips --config config.json --settings gaze.json --out gaze",
        // Other data.
        "tokenizer gaze --data others --out gaze --resume",
        "tokenizer camera --data others --out camera --resume",
        "tokenizer video --data others --out video --resume",
        &format!("pretrain --data {DATA} --out model --resume"),
        &format!("pretrain --data {two} --validation {held_out} --out model --resume"),
        &format!("pretrain --data {walks} --validation {held_out} --out model --resume"),
        &format!("pretrain --data {other_rooms} --validation {held_out} --out model --resume"),
        &format!("pretrain --data {DATA} {DATA} --validation {held_out} --out model --resume"),
        // Other tokenizers, other clips, other shards.
        &format!("tokenize --data clips --tokenizers {tokenizers} --out tokens --shard-samples 5"),
        "tokenize --data clips --tokenizers gaze/checkpoints/step-00000000 --out tokens --shard-samples 4",
        "tokenize --data clips --tokenizers gaze/checkpoints/step-00000000 --out clips",
        "synth --config config.json --out clips --clips 17",
        "synth --config config.json --out clips --clips 16 --seed 1",
        "synth --config config.json --out tokens --clips 16",
    ] {
        bench.fails(line);
    }
    insta::assert_snapshot!(bench.transcript());
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let bench = Bench::with_clips().with_settings(20).with_tokens();
    let change = |file: &str, value: Value, pointer: &str| {
        let mut config: Value = serde_json::from_slice(&bench.read(file)).unwrap();
        *config.pointer_mut(pointer).unwrap() = value;
        bench.write_json(file, &config);
    };
    let newest = bench.newest("gaze");
    change(&format!("{newest}/config.json"), json!(24), "/gaze_tokenizer/dim");
    let error = bench.error("tokenizer gaze --data clips --out gaze --resume");
    assert!(error.contains(&newest), "{error}");
    // Tokens of another model are damage, and nothing else is there.
    change("config.json", json!(32), "/video/width");
    fs::create_dir(bench.path("weights")).unwrap();
    bench.succeed("synth --config config.json --out wide-clips --clips 16");
    bench.succeed("tokenizer gaze --data wide-clips --settings gaze.json --config config.json --out wide --steps 0");
    let error = bench.error(&format!("pretrain --data {DATA} --settings main.json --config config.json --out model"));
    assert!(error.starts_with("error: no shard or file of the dataset rooms gives a sample"), "{error}");
    let error = bench.error(&format!(
        "tokenize --data wide-clips --tokenizers {} {} --out wide-tokens",
        bench.newest("wide"),
        bench.newest("camera")
    ));
    assert!(error.contains("is of another model than"), "{error}");
    let error = bench.error(&format!("posttrain --weights {} --data {DATA} --out model", bench.newest("wide")));
    assert!(error.contains("model.safetensors"), "{error}");
}

/// A limit on the size of files is an error of the same kind as a full disk, and needs no rights.
#[test]
fn slow_a_full_disk_keeps_the_last_checkpoint() {
    let bench = Bench::with_clips().with_settings(20).with_tokens();
    let line = format!("pretrain --data '{DATA}'");
    let new = "--settings main.json --config config.json --checkpoint-every 4";
    let run = |arguments: &str| {
        let output = bench.shell(&format!("egom2p-train {arguments}")).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&format!("{line} {new} --out whole"));
    run(&format!("{line} {new} --out model --steps 8"));
    let checkpoints = bench.contents("model/checkpoints");
    let largest = |folder: &str| bench.contents(folder).values().map(Vec::len).max().unwrap();
    // In blocks of 1024 bytes: below weights, below moments, and below the lines that are there.
    for n_blocks in [largest("model/checkpoints") / 2048, largest("model/checkpoints") / 1024 - 1, 1] {
        let script = format!("trap '' XFSZ; ulimit -f {n_blocks}; exec egom2p-train {line} --out model --resume");
        let error = failure(&script, &bench.shell(&script).output().unwrap());
        assert!(error.starts_with("error: cannot write "), "{error}");
        assert!(bench.contents("model/checkpoints") == checkpoints, "{n_blocks} blocks");
    }
    run(&format!("{line} --out model --resume --checkpoint-every 4"));
    let last = "checkpoints/step-00000020";
    assert!(bench.contents(&format!("model/{last}")) == bench.contents(&format!("whole/{last}")), "it goes on exactly");

    // Clips and tokens are whole or not there.
    let tokenizers = ["gaze", "camera", "video"].map(|name| bench.newest(name)).join(" ");
    for arguments in [
        "synth --config config.json --out new --clips 16".to_owned(),
        format!("tokenize --data clips --tokenizers {tokenizers} --out new --shard-samples 4"),
        format!("{line} --settings main.json --config config.json --out new"),
    ] {
        let script = format!("trap '' XFSZ; ulimit -f 2; exec egom2p-train {arguments}");
        let error = failure(&script, &bench.shell(&script).output().unwrap());
        assert!(error.starts_with("error: cannot write "), "{error}");
        assert!(bench.contents("new").values().all(|bytes| bytes.len() <= 2048));
        run(&arguments);
        fs::remove_dir_all(bench.path("new")).unwrap();
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let mut bench = Bench::with_clips().with_settings(20).with_tokens();
    fs::write(bench.path("file"), "mine").unwrap();
    let tokenizers = ["gaze", "camera", "video"].map(|name| bench.newest(name)).join(" ");
    for line in [
        "synth --config config.json --clips 16 --out file/clips",
        "tokenizer gaze --data clips --config config.json --settings gaze.json --out file/gaze",
        "tokenizer gaze --data clips --config config.json --settings gaze.json --out file",
        &format!("tokenize --data clips --tokenizers {tokenizers} --out file/tokens"),
        &format!("pretrain --data {DATA} --settings main.json --config config.json --out file/model"),
    ] {
        bench.fails(line);
    }
    insta::assert_snapshot!(bench.transcript());
}
