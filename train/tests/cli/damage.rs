//! Damaged clips and shards: named and counted, left out up to a limit, and an error past it.

use crate::arrays::{Values, npz, read_tar, write_tar};
use crate::bench::Bench;
use std::fs;

/// The lines that say what was left out.
fn left_out(stderr: &str) -> String {
    stderr.lines().filter(|line| line.contains("left out: ")).flat_map(|line| [line, "\n"]).collect()
}

/// Clips of `rooms` that cannot be used in all modalities, and two with odd values that can.
fn damage_clips(bench: &Bench) {
    let write =
        |clip: &str, bytes: Vec<u8>| fs::write(bench.path(&format!("clips/train/rooms/{clip}.npz")), bytes).unwrap();
    let unit: Vec<f64> =
        (0..16).flat_map(|_| [1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0., 1.]).collect();
    let changed = |at: usize, value: f64| {
        let mut poses = unit.clone();
        poses[at] = value;
        npz("arr_0", &[16, 4, 4], &Values::F64(&poses))
    };
    let video = [7_u8; 8 * 16 * 16 * 3];
    // Gaze that is invalid throughout, or far outside, is legal.
    write("gaze/00000000", npz("arr_0", &[16, 2], &Values::F64(&[f64::NAN; 32])));
    write("gaze/00000001", npz("arr_0", &[16, 2], &Values::F64(&[1e300; 32])));
    write("gaze/00000002", npz("gaze", &[16, 2], &Values::F64(&[8.0; 32])));
    write("gaze/00000003", npz("arr_0", &[16, 3], &Values::F64(&[8.0; 48])));
    write("gaze/00000004", npz("arr_0", &[15, 2], &Values::F64(&[8.0; 30])));
    write("cam/00000000", changed(3 * 16 + 3, f64::NAN));
    write("cam/00000001", changed(3 * 16 + 3, 1e300));
    write("cam/00000002", changed(15, 2.0));
    write("cam/00000003", b"PK but no archive".to_vec());
    write("rgb/00000000", npz("arr_0", &[8, 16, 16, 3], &Values::F32(&vec![0.5; 8 * 16 * 16 * 3])));
    write("rgb/00000001", npz("arr_0", &[7, 16, 16, 3], &Values::U8(&video[..7 * 16 * 16 * 3])));
    write("rgb/00000002", npz("arr_0", &[8, 16, 16, 3], &Values::U8(&video))[..100].to_vec());
    fs::remove_file(bench.path("clips/train/rooms/depth/00000005.npz")).unwrap();
}

#[test]
fn damaged_clips_are_left_out() {
    let bench = Bench::with_clips().with_settings(10);
    damage_clips(&bench);
    let mut said = String::new();
    let mut checkpoints = Vec::new();
    for name in ["gaze", "camera", "video"] {
        let line = format!("tokenizer {name} --data clips --config config.json --settings {name}.json --out {name}");
        said.extend([&format!("tokenizer {name}"), "\n", &left_out(&bench.output(&line).1), "\n"]);
        said += &bench.error(&format!("{line}-strict --max-damaged 1"));
        checkpoints.push(bench.newest(name));
    }
    let line = format!("tokenize --data clips --tokenizers {} --shard-samples 4", checkpoints.join(" "));
    let (stdout, stderr) = bench.output(&format!("{line} --out tokens"));
    said.extend(["\ntokenize\n", &stdout, &left_out(&stderr), "\n"]);
    said += &bench.error(&format!("{line} --out strict --max-damaged 2"));
    insta::assert_snapshot!(said);
    // A clip with invalid gaze has tokens, and what was left out comes in once it is mended.
    let shard = read_tar(&bench.path("tokens/train/gaze/rooms/token/shard-000000.tar"));
    assert_eq!(shard.len(), 1, "00000006 is the only clip of rooms that is whole");
}

/// Every kind of damage in shards, each in another shard of `rooms`.
fn damage_shards(bench: &Bench) {
    let path =
        |modality: &str, shard: usize| bench.path(&format!("tokens/train/{modality}/rooms/token/shard-{shard:06}.tar"));
    fs::remove_file(path("gaze", 0)).unwrap();
    let bytes = fs::read(path("cam", 1)).unwrap();
    fs::write(path("cam", 1), &bytes[..bytes.len() / 3]).unwrap();
    let replace = |shard: usize, change: &dyn Fn(&[i64]) -> Vec<u8>| {
        let mut members = read_tar(&path("gaze", shard));
        let n = 16;
        for member in &mut members {
            member.1 = change(&vec![3; n / 2]);
        }
        write_tar(&path("gaze", shard), &members);
    };
    let n_tokens = 8;
    replace(2, &|tokens| npz("tokens", &[n_tokens], &Values::I64(tokens)));
    replace(3, &|tokens| npz("arr_0", &[n_tokens - 1], &Values::I64(&tokens[1..])));
    replace(4, &|_| npz("arr_0", &[n_tokens], &Values::F32(&[3.0; 8])));
    replace(5, &|_| npz("arr_0", &[n_tokens], &Values::I64(&[3, 3, 3, 3, 3, 3, 3, 16])));
}

#[test]
fn damaged_shards_are_left_out() {
    let bench = Bench::with_clips().with_settings(30).with_tokens();
    fs::remove_dir_all(bench.path("tokens")).unwrap();
    let checkpoints = ["gaze", "camera", "video"].map(|name| bench.newest(name)).join(" ");
    bench.succeed(&format!("tokenize --data clips --tokenizers {checkpoints} --out tokens --shard-samples 1"));
    damage_shards(&bench);
    let rooms = "tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000006}.tar";
    let line = format!("pretrain --data {rooms} --settings main.json --config config.json");
    let (_, stderr) = bench.output(&format!("{line} --out model --checkpoint-every 10"));
    let mut lines: Vec<&str> = stderr.lines().filter(|line| line.contains("left out: ")).collect();
    lines.sort_unstable();
    let mut said = lines.join("\n") + "\n\n";
    // Which of them is met first follows from the seed.
    let error = bench.error(&format!("{line} --out strict --max-damaged 3"));
    assert!(error.contains("more than 3 members or shards are damaged"), "{error}");
    said += &bench.error(&format!(
        "pretrain --data {} --settings main.json --config config.json --out none",
        rooms.replace("{000000..000006}", "000000")
    ));
    for held_out in ["tokens/val/[rgb,depth]/rooms/*.npz", "tokens/val/[rgb,depth,cam,gaze]/nobody/*.npz"] {
        fs::write(bench.path("tokens/val/rgb/rooms/00000000.npz"), b"PK").unwrap();
        said += &bench.error(&format!("{line} --validation {held_out} --out unheld"));
    }
    insta::assert_snapshot!(said);
    // What was left out stays left out when the training goes on, and is not told twice.
    let n_lines = || String::from_utf8(bench.read("model/metrics.jsonl")).unwrap().lines().count();
    let before = n_lines();
    fs::remove_dir_all(bench.path("model/checkpoints/step-00000030")).unwrap();
    let (_, stderr) = bench.output(&format!("pretrain --data {rooms} --out model --resume"));
    assert!(left_out(&stderr).is_empty(), "{stderr}");
    assert_eq!(n_lines(), before);
}
