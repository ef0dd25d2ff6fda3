//! `--help`, `--version` and what is typed wrongly.

use crate::bench::Bench;

#[test]
fn every_command_explains_itself() {
    for command in ["", "synth", "settings", "tokenizer", "tokenize", "pretrain", "posttrain"] {
        let mut bench = Bench::new();
        assert!(bench.note(format!("{command} --help").trim_start()).status.success());
        insta::assert_snapshot!(format!("help {command}").trim_end().replace(' ', "_"), bench.transcript());
    }
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(Bench::new().succeed("--version"), format!("egom2p-train {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let mut bench = Bench::new();
    for line in [
        "dance",
        "synth",
        "synth --out clips --preset huge",
        "synth --out clips --preset egom2p-tiny --config config.json",
        "settings smell",
        "settings gaze --source mine",
        "tokenizer smell --data clips --out out",
        "tokenizer model --data clips --out out",
        "tokenizer gaze --data clips --out out --resume --settings paper",
        "tokenizer gaze --data clips --out out --checkpoint-every 0",
        "tokenize --data clips --out tokens",
        "tokenize --data clips --tokenizers weights --out tokens --modalities smell",
        "tokenize --data clips --tokenizers weights --out tokens --shard-samples 0",
        "tokenizer gaze --data clips --out out --device gpu",
        "pretrain --out out",
        "pretrain --data tokens --out out --device cuda:-1",
        "posttrain --data tokens --out out",
        "posttrain --data tokens --out out --weights weights --resume",
    ] {
        assert_eq!(bench.note(line).status.code(), Some(2), "{line}");
    }
    assert_eq!(bench.files().len(), 1);
    insta::assert_snapshot!(bench.transcript());
}
