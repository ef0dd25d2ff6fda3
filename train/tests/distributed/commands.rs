//! `egom2p-train` by two processes that have the variables of torchrun.

use super::bench::Bench;
use super::processes::{N_RANKS, Processes, environment, free_port, text, two_lines};
use serde_json::Value;
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Two datasets, of which one has no depth: in some steps, a rank has no depth.
const DATA: &str = "--data tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000001}.tar tokens/train/[rgb,cam,gaze]/tasks/token/shard-{000000..000001}.tar --threads 1";
const PATIENCE: Duration = Duration::from_mins(2);
/// Largest relative difference of a tokenizer's losses between two processes and one.
const TOLERANCE: f64 = 1e-5;

fn start(bench: &Bench, line: &str) -> Processes {
    Processes::start(|| bench.command(line))
}

/// Waits until a training's metrics tell of so many steps.
fn wait_for_steps(bench: &Bench, processes: &mut Processes, folder: &str, n_steps: usize) {
    let started = Instant::now();
    let lines =
        || fs::read_to_string(bench.path(&format!("{folder}/metrics.jsonl"))).unwrap_or_default().lines().count();
    while lines() < n_steps {
        let ended = (0..N_RANKS).find(|rank| processes.status(*rank).is_some());
        if let Some(rank) = ended {
            panic!("rank {rank} ended: {}", text(&processes.end(rank).0.stderr));
        }
        assert!(started.elapsed() < PATIENCE, "{folder} makes no steps");
        thread::sleep(Duration::from_millis(1));
    }
}

fn metrics(bench: &Bench, folder: &str, name: &str) -> Vec<f64> {
    let text = String::from_utf8(bench.read(&format!("{folder}/metrics.jsonl"))).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line[name].as_f64()).collect()
}

#[test]
fn slow_a_killed_rank_ends_the_other_and_the_training_goes_on() {
    let bench = Bench::with_clips().with_settings(160).with_tokens();
    let new = format!(
        "pretrain {DATA} --validation tokens/val/[rgb,depth,cam,gaze]/rooms/*.npz --settings main.json --config config.json --checkpoint-every 7 --out"
    );
    let outputs = start(&bench, &format!("{new} whole")).succeed();
    assert!(text(&outputs[0].stdout).contains("whole/checkpoints/step-00000160"));
    assert_eq!((text(&outputs[1].stdout), text(&outputs[1].stderr)), (String::new(), String::new()));
    assert_eq!(metrics(&bench, "whole", "validation/loss").len(), 23);

    let resumed = format!(
        "pretrain {DATA} --validation tokens/val/[rgb,depth,cam,gaze]/rooms/*.npz --checkpoint-every 7 --resume --out parts"
    );
    let mut line = format!("{new} parts");
    for (killed, n_steps) in [(1, 20), (0, 90)] {
        let mut processes = start(&bench, &line);
        wait_for_steps(&bench, &mut processes, "parts", n_steps);
        processes.kill(killed);
        let (output, took) = processes.end(1 - killed);
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(output.status.code(), Some(1));
        let (what, mend) = two_lines(&output.stderr);
        assert!(what.contains("another rank is lost: "), "{what}");
        assert!(mend.ends_with("then start all ranks again with --resume"), "{mend}");
        line.clone_from(&resumed);
    }
    let mut other_number = bench.command(&resumed);
    let (what, _) = two_lines(&other_number.output().unwrap().stderr);
    assert!(what.contains("number of ranks is 2, expected 1"), "{what}");
    start(&bench, &resumed).succeed();
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let read = |folder: &str| bench.read(&format!("{folder}/checkpoints/step-00000160/{file}"));
        assert!(read("whole") == read("parts"), "{file}");
    }
}

#[test]
fn a_tokenizer_learns_from_both_halves_of_a_batch() {
    let bench = Bench::with_clips().with_settings(10);
    let line = "tokenizer camera --data clips --config config.json --settings camera.json --threads 1 --out";
    bench.succeed(&format!("{line} alone"));
    let outputs = start(&bench, &format!("{line} together")).succeed();
    assert_eq!((text(&outputs[1].stdout), text(&outputs[1].stderr)), (String::new(), String::new()));
    for name in ["loss", "codebook/used", "codebook/replaced", "validation/loss", "tokens"] {
        let [alone, together] = ["alone", "together"].map(|folder| metrics(&bench, folder, name));
        assert_eq!(alone.len(), together.len());
        for (alone, together) in alone.iter().zip(&together) {
            let difference = (alone - together).abs() / alone.abs().max(1e-9);
            assert!(difference <= TOLERANCE, "{name}: {together} for {alone}, {difference:.1e}");
        }
    }
    // Rank 1 writes nothing, so that there is one folder with one training in it.
    assert!(bench.path("together/loss.png").exists());
}

#[test]
fn ctrl_c_on_one_rank_ends_all_with_a_checkpoint() {
    let bench = Bench::with_clips().with_settings(100_000).with_tokens();
    let line = format!("pretrain {DATA} --settings main.json --config config.json --out model");
    let mut processes = start(&bench, &line);
    wait_for_steps(&bench, &mut processes, "model", 3);
    Command::new("kill").args(["-INT", &processes.id(1).to_string()]).status().unwrap();
    assert_eq!(processes.end(1).0.status.code(), Some(130));
    let (first, _) = processes.end(0);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let n_steps = metrics(&bench, "model", "loss").len();
    assert!(bench.path(&format!("model/checkpoints/step-{n_steps:08}")).exists());
    assert!(text(&first.stderr).contains(&format!("{n_steps} of 100000 steps are made: go on with --resume")));
}

#[test]
fn half_an_environment_is_no_training_of_one_process() {
    let bench = Bench::new();
    let line = "pretrain --data tokens/[rgb]/rooms/*.npz --config config.json --out model";
    let before = bench.files();
    let rank_only = [environment(0, free_port())[0].clone()];
    let out_of_range = [("RANK", "2".to_owned()), ("WORLD_SIZE", "2".to_owned())];
    for (variables, message) in [
        (&rank_only[..], "error: WORLD_SIZE is missing although RANK is there"),
        (&out_of_range[..], "error: RANK is \"2\", expected a number from 0 to 1"),
    ] {
        let output = bench.command(line).envs(variables.iter().cloned()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(two_lines(&output.stderr).0, message);
    }
    assert_eq!(bench.files(), before);
}
