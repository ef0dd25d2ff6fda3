//! Videos that are none, that are too short, and those that only look unusual.

use std::fs;

use crate::{
    bench::{Bench, has_video_program},
    matroska,
    transcript::Transcript,
};

/// A bundle that predicts gaze from a video.
fn bench() -> Option<Bench> {
    if !has_video_program() {
        return None;
    }
    Bench::with_bundle("model,gaze,video", "video_encoder,encoder,decoder,head_gaze,gaze_decoder")
}

/// Grey pictures with the times that they are shown at, in milliseconds.
fn video(bench: &Bench, name: &str, (width, height): (u32, u32), times_ms: &[u64], duration_ms: u64) {
    let picture = |index: usize| vec![(index * 10) as u8; (width * height * 3) as usize];
    let pictures: Vec<_> = times_ms.iter().enumerate().map(|(index, time)| (*time, picture(index))).collect();
    matroska::write(&bench.path(name), (width, height), &pictures, duration_ms);
}

#[test]
fn videos_that_are_none_or_too_short_are_refused() {
    let Some(bench) = bench() else { return };
    bench.write("text.mp4", "this is no video\n".repeat(50));
    bench.write("empty.mp4", "");
    fs::create_dir(bench.path("folder")).expect("room");
    video(&bench, "none.mkv", (64, 64), &[], 0);
    video(&bench, "three.mkv", (64, 64), &[0, 125, 250], 375);
    video(&bench, "fifteen.mkv", (64, 64), &(0..15).map(|index| index * 125).collect::<Vec<_>>(), 1875);
    video(&bench, "whole.mkv", (64, 64), &(0..16).map(|index| index * 125).collect::<Vec<_>>(), 2000);
    let whole = fs::read(bench.path("whole.mkv")).expect("it was written");
    bench.write("cut.mkv", &whole[..whole.len() / 2]);
    let mut transcript = Transcript::new(&bench);
    for name in [
        "text.mp4",
        "empty.mp4",
        "none.mkv",
        "three.mkv",
        "fifteen.mkv",
        "cut.mkv",
        "missing.mp4",
        "folder",
        "*.avi",
        "[.mp4",
    ] {
        transcript.fails(&format!("run bundle --input {name} --to gaze --out out"));
    }
    transcript.fails("run bundle --input whole.mkv --to gaze --out out --start-secs 9");
    transcript.fails("run bundle --input whole.mkv --to gaze --out out --fps 100000");
    transcript.fails("run bundle --input whole.mkv --to camera --out out");
    let text = transcript.text();
    let version = text.split("OpenCV ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    insta::assert_snapshot!(text.replace(&version, "VERSION"));
}

#[test]
fn unusual_videos_are_read() {
    let Some(bench) = bench() else { return };
    let every = |n_frames: u64, step_ms: u64| (0..n_frames).map(|index| index * step_ms).collect::<Vec<_>>();
    video(&bench, "odd.mkv", (33, 17), &every(16, 125), 2000);
    video(&bench, "fast.mkv", (64, 48), &every(60, 33), 2000);
    video(&bench, "slow.mkv", (64, 48), &every(5, 500), 2500);
    let uneven: Vec<u64> =
        (0..24).scan(0, |time, index| Some(std::mem::replace(time, *time + 20 + index * 13 % 170))).collect();
    video(&bench, "uneven.mkv", (64, 48), &uneven, 2400);
    for name in ["odd", "fast", "slow", "uneven"] {
        let out = format!("out/{name}");
        bench.succeed(&[
            "run",
            "bundle",
            "--input",
            &format!("{name}.mkv"),
            "--to",
            "gaze",
            "--steps",
            "1",
            "--out",
            &out,
        ]);
        let gaze = fs::read_to_string(bench.path(&out).join("gaze.csv")).expect("gaze was predicted");
        assert_eq!(gaze.lines().count(), 61, "{name}");
    }
    assert!(bench.leftovers().is_empty());
}

/// One video that cannot be read does not stop the others, and the exit code tells.
#[test]
fn a_bad_video_among_good_ones_is_named() {
    let Some(bench) = bench() else { return };
    fs::create_dir(bench.path("clips")).expect("room");
    video(&bench, "clips/a.mkv", (64, 48), &(0..16).map(|index| index * 125).collect::<Vec<_>>(), 2000);
    bench.write("clips/b.mp4", "no video");
    let output = bench.run(&["run", "bundle", "--input", "clips", "--to", "gaze", "--steps", "1", "--out", "out"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: 1 of 2 videos failed: clips/b.mp4\n"), "{stderr}");
    assert!(bench.path("out/a/gaze.csv").is_file());
    assert!(!bench.path("out/b").exists());
    assert!(bench.leftovers().is_empty());
}
