//! Trainings that are killed at random moments and gone on with end with the bytes of one that was not.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::BuildHasher as _,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

/// Two datasets, of which one has no depth: in some steps, depth has no gradient.
const DATA: &str = "tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000001}.tar tokens/train/[rgb,cam,gaze]/tasks/token/shard-{000000..000001}.tar";
const HELD_OUT: &str = "tokens/val/[rgb,depth,cam,gaze]/rooms/*.npz";
const PATIENCE: Duration = Duration::from_mins(2);
/// Repeats the moments of an earlier run.
const SEED: &str = "EGOM2P_KILL_SEED";

/// Random moments, from a seed that messages name.
struct Moments {
    seed: u64,
    n_drawn: u64,
    said: Vec<String>,
}

impl Moments {
    fn new() -> Self {
        let seed = env::var(SEED).ok().map(|seed| seed.parse().unwrap());
        Self { seed: seed.unwrap_or_else(|| RandomState::new().hash_one(0)), n_drawn: 0, said: Vec::new() }
    }

    /// A number of `0..n` (the generator `SplitMix64`).
    fn draw(&mut self, n: u64) -> u64 {
        self.n_drawn += 1;
        let mut value = self.seed.wrapping_add(self.n_drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % n
    }

    /// What a message says of them.
    fn said(&self) -> String {
        format!("after kills at {}; {SEED}={} repeats it", self.said.join(", "), self.seed)
    }
}

/// A training by its command and the options of its beginning.
struct Training<'a> {
    command: &'a str,
    beginning: &'a str,
    n_steps: u64,
}

impl Training<'_> {
    /// Makes the training in one go, and again in parts that are killed at random moments.
    fn assert_exact(&self, bench: &Bench) {
        let Self { command, beginning, n_steps } = self;
        let mut moments = Moments::new();
        let often = "--checkpoint-every 4";
        bench.succeed(&format!("{command} {beginning} {often} --out whole"));
        let resumed = format!("{command} {often} --resume --out parts");
        let mut line = format!("{command} {beginning} {often} --out parts");
        let mut n_killed = 0;
        for in_checkpoint in [false, true, false] {
            // Lines of validation count with the others, so that a step may be an earlier one.
            let step = 1 + moments.said.len() as u64 * n_steps / 4 + moments.draw(n_steps / 4);
            let place = if in_checkpoint { "a checkpoint behind step" } else { "step" };
            moments.said.push(format!("{place} {step}"));
            n_killed += u32::from(kill(bench, &line, step, in_checkpoint));
            line.clone_from(&resumed);
        }
        let said = moments.said();
        assert!(n_killed > 0, "the training was too quick to be killed {said}");
        bench.succeed(&resumed);
        let last = format!("checkpoints/step-{n_steps:08}");
        let (whole, parts) = ["whole", "parts"].map(|folder| bench.contents(&format!("{folder}/{last}"))).into();
        assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>(), "{said}");
        for (name, bytes) in &whole {
            assert!(parts[name] == *bytes, "{} differs {said}", name.display());
        }
        let losses = |folder: &str| {
            let text = String::from_utf8(bench.read(&format!("{folder}/metrics.jsonl"))).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let values = |line: Value| ["step", "loss", "validation/loss"].map(|name| line[name].clone());
            lines.map(values).collect::<Vec<_>>()
        };
        assert_eq!(losses("whole"), losses("parts"), "{said}");
        // What the kills left half-written is gone.
        let names = |folder: &str| {
            let files = bench.contents(folder).into_keys();
            files.filter(|name| !name.to_string_lossy().contains("tfevents")).collect::<Vec<_>>()
        };
        assert_eq!(names("whole"), names("parts"), "{said}");
    }
}

/// Kills a training once its metrics tell of so many steps and, where that is asked for, while it writes a
/// checkpoint; whether it was killed before its end.
fn kill(bench: &Bench, line: &str, step: u64, in_checkpoint: bool) -> bool {
    let mut child = bench.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let is_writing = || {
        let entries = fs::read_dir(bench.path("parts/checkpoints")).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".partial"))
    };
    loop {
        let text = fs::read_to_string(bench.path("parts/metrics.jsonl")).unwrap_or_default();
        if text.lines().count() as u64 >= step && (!in_checkpoint || is_writing()) {
            child.kill().unwrap();
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success() || status.code().is_none(), "{line}: {status}");
            return status.code().is_none();
        }
        assert!(started.elapsed() < PATIENCE, "{line} makes no steps");
        if !in_checkpoint {
            sleep(Duration::from_millis(1));
        }
    }
}

/// A bench whose tokenizer of a kind trains for so many epochs.
fn bench_of_tokenizer(name: &str, epochs: u64) -> Bench {
    let bench = Bench::with_clips().with_settings(10);
    let mut settings: Value = serde_json::from_slice(&bench.read(&format!("{name}.json"))).unwrap();
    settings["epochs"] = json!(epochs);
    bench.write_json("settings.json", &settings);
    bench
}

#[test]
fn slow_pretraining_goes_on_exactly() {
    let bench = Bench::with_clips().with_settings(40).with_tokens();
    let command = format!("pretrain --data {DATA} --validation {HELD_OUT}");
    let beginning = "--settings main.json --config config.json";
    Training { command: &command, beginning, n_steps: 40 }.assert_exact(&bench);
}

#[test]
fn slow_posttraining_goes_on_exactly() {
    let bench = Bench::with_clips().with_settings(40).with_tokens();
    bench.succeed(&format!("pretrain --data {DATA} --settings main.json --config config.json --out model --steps 3"));
    let command = format!("posttrain --data {DATA}");
    let beginning = "--settings main.json --weights model/checkpoints/step-00000003";
    Training { command: &command, beginning, n_steps: 40 }.assert_exact(&bench);
}

#[test]
fn slow_the_gaze_tokenizer_goes_on_exactly() {
    // 15 clips have gaze: 3 full batches of 4.
    let (command, beginning) = ("tokenizer gaze --data clips", "--settings settings.json --config config.json");
    Training { command, beginning, n_steps: 60 }.assert_exact(&bench_of_tokenizer("gaze", 20));
}

#[test]
fn slow_the_camera_tokenizer_goes_on_exactly() {
    // 17 clips have a camera: 4 full batches.
    let (command, beginning) = ("tokenizer camera --data clips", "--settings settings.json --config config.json");
    Training { command, beginning, n_steps: 60 }.assert_exact(&bench_of_tokenizer("camera", 15));
}

#[test]
fn slow_the_video_tokenizer_goes_on_exactly() {
    // 17 clips have rgb and 9 have depth: 6 full batches.
    let (command, beginning) = ("tokenizer video --data clips", "--settings settings.json --config config.json");
    Training { command, beginning, n_steps: 24 }.assert_exact(&bench_of_tokenizer("video", 4));
}

/// What a process does first, such as the making of gradients, must not show in what it computes, whatever the step.
#[test]
fn slow_every_step_can_be_the_first_of_a_process() {
    const N_STEPS: u64 = 20;
    let bench = Bench::with_clips().with_settings(160).with_tokens();
    // With few samples, most steps leave some parameters without a gradient.
    let mut settings: Value = serde_json::from_slice(&bench.read("main.json")).unwrap();
    settings["batch"] = json!({ "samples": 2, "samples_per_pass": 1 });
    bench.write_json("main.json", &settings);
    bench.succeed(&format!(
        "pretrain --data {DATA} --settings main.json --config config.json --out whole --checkpoint-every 1 --keep 99 --steps {N_STEPS}"
    ));
    let checkpoint = |folder: &str, step: u64| format!("{folder}/checkpoints/step-{step:08}");
    let mut differing = Vec::new();
    for step in 0..N_STEPS {
        let folder = format!("from-{step}");
        fs::create_dir_all(bench.path(&folder).join("checkpoints")).unwrap();
        fs::rename(bench.path(&checkpoint("whole", step)), bench.path(&checkpoint(&folder, step))).unwrap();
        bench.succeed(&format!("pretrain --data {DATA} --out {folder} --resume --steps {}", step + 1));
        if bench.contents(&checkpoint(&folder, step + 1)) != bench.contents(&checkpoint("whole", step + 1)) {
            differing.push(step);
        }
    }
    assert!(differing.is_empty(), "resumed at {differing:?}, the next step is another one");
}
