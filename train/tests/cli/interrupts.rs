//! Ctrl-C and termination: what was made so far can be gone on with.

use crate::bench::Bench;
use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_mins(2);

/// Sends a signal to a command once a file or folder is there; its exit code.
fn stopped(bench: &Bench, signal: &str, line: &str, once: &str) -> Option<i32> {
    let mut child = bench.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !bench.path(once).exists() {
        assert!(started.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "{line} does not get there");
        sleep(Duration::from_millis(1));
    }
    Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    child.wait().unwrap().code()
}

#[test]
fn synthetic_clips_go_on() {
    let bench = Bench::new();
    let line = "synth --config config.json --clips 150 --threads 1 --out";
    bench.succeed(&format!("{line} whole"));
    for (number, (signal, code)) in [("-INT", Some(130)), ("-TERM", Some(130)), ("-KILL", None)].into_iter().enumerate()
    {
        let folder = format!("clips-{number}");
        let once = format!("{folder}/train/rooms/rgb/00000003.npz");
        assert_eq!(stopped(&bench, signal, &format!("{line} {folder}"), &once), code, "{signal}");
        assert!(!bench.path(&format!("{folder}/synth.json")).exists());
        let (_, stderr) = bench.output(&format!("{line} {folder}"));
        assert!(stderr.contains(" clips were there already"), "{stderr}");
        assert!(bench.contents(&folder) == bench.contents("whole"), "{signal}");
    }
}

#[test]
fn slow_tokens_go_on() {
    let bench = Bench::new().with_settings(10);
    bench.succeed("synth --config config.json --out clips --clips 60");
    for name in ["gaze", "camera", "video"] {
        bench.succeed(&format!(
            "tokenizer {name} --data clips --config config.json --settings {name}.json --out {name} --steps 0"
        ));
    }
    let tokenizers = ["gaze", "camera", "video"].map(|name| bench.newest(name)).join(" ");
    let line = format!("tokenize --data clips --tokenizers {tokenizers} --shard-samples 4 --out");
    bench.succeed(&format!("{line} whole"));
    for (number, (signal, code)) in [("-INT", Some(130)), ("-TERM", Some(130)), ("-KILL", None)].into_iter().enumerate()
    {
        let folder = format!("tokens-{number}");
        let once = format!("{folder}/train/rgb/rooms/token/shard-00000{}.tar", 2 * number);
        assert_eq!(stopped(&bench, signal, &format!("{line} {folder}"), &once), code, "{signal}");
        bench.succeed(&format!("{line} {folder}"));
        assert!(bench.contents(&folder) == bench.contents("whole"), "{signal}");
    }
}

#[test]
fn slow_trainings_end_with_a_checkpoint() {
    let bench = Bench::with_clips().with_settings(100_000).with_tokens();
    let data = "--data tokens/train/[rgb,cam,gaze]/tasks/token/shard-{000000..000001}.tar";
    let line = format!("pretrain {data} --settings main.json --config config.json");
    for (folder, signal) in [("model", "-INT"), ("other", "-TERM")] {
        let metrics = format!("{folder}/metrics.jsonl");
        assert_eq!(stopped(&bench, signal, &format!("{line} --out {folder}"), &metrics), Some(130));
        let newest = bench.newest(folder);
        let step: u64 = newest.split_once("step-").unwrap().1.parse().unwrap();
        let n_lines = String::from_utf8(bench.read(&metrics)).unwrap().lines().count() as u64;
        assert_eq!(n_lines, step);
        bench.succeed(&format!("pretrain {data} --out {folder} --resume --steps {}", step + 3));
        assert!(bench.path(&format!("{folder}/checkpoints/step-{:08}", step + 3)).is_dir());
    }
    assert!(fs::exists(bench.path("model/loss.png")).unwrap());
}
