//! Metrics files over a run that is stopped and goes on.
#![allow(clippy::unwrap_used, reason = "tests panic where they fail")]

use egom2p_train::metrics::{
    LINES_FILE, MetricsError, MetricsFolder, MetricsLines, StepMetrics, draw_loss, read_lines,
};
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

fn metrics(step: u64) -> StepMetrics {
    let values = [("loss", 1.0 / (step + 3) as f64), ("learning_rate", 1e-4)];
    let values = values.map(|(name, value)| (name.to_owned(), value)).into();
    StepMetrics { step, time_secs: 1.7e9 + step as f64 / 3.0, values }
}

fn read(path: &Path) -> Vec<StepMetrics> {
    let mut steps = Vec::new();
    read_lines(path, |metrics| steps.push(metrics)).unwrap();
    steps
}

#[test]
fn a_resumed_run_has_every_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = MetricsFolder::create(folder.path()).unwrap();
    for step in 1..=10 {
        files.write(&metrics(step)).unwrap();
    }
    drop(files);
    let lines = folder.path().join(LINES_FILE);
    // Killed in the middle of a line.
    let text = fs::read_to_string(&lines).unwrap();
    fs::write(&lines, format!("{text}{{\"step\":11,\"time_")).unwrap();
    assert_eq!(read(&lines), (1..=10).map(metrics).collect::<Vec<_>>());
    let mut files = MetricsFolder::resume(folder.path(), 6).unwrap();
    assert_eq!(read(&lines), (1..=6).map(metrics).collect::<Vec<_>>());
    for step in 7..=12 {
        files.write(&metrics(step)).unwrap();
    }
    assert_eq!(read(&lines), (1..=12).map(metrics).collect::<Vec<_>>());
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[..2].iter().all(|name| name.starts_with("events.out.tfevents.")), "{names:?}");
}

#[test]
fn a_line_is_one_flat_object() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(LINES_FILE);
    let mut lines = MetricsLines::create(&path).unwrap();
    let values = [("loss".to_owned(), 2.5), ("loss/rgb".to_owned(), f64::NAN)].into();
    lines.write(&StepMetrics { step: 3, time_secs: 1.5, values }).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"step\":3,\"time_secs\":1.5,\"loss\":2.5,\"loss/rgb\":null}\n");
    assert_eq!(read(&path)[0].values, [("loss".to_owned(), 2.5)].into());
    let reserved = StepMetrics::now(4, [("time_secs", 1.0)]);
    assert!(matches!(lines.write(&reserved).unwrap_err(), MetricsError::Name { .. }));
    assert_eq!(read(&path).len(), 1);
}

#[test]
fn another_run_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    MetricsFolder::create(folder.path()).unwrap().write(&metrics(1)).unwrap();
    let error = MetricsFolder::create(folder.path()).unwrap_err();
    assert!(matches!(error, MetricsError::Exists { .. }), "{error}");
    assert_eq!(read(&folder.path().join(LINES_FILE)), [metrics(1)]);
}

#[test]
fn damaged_lines_are_named_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(LINES_FILE);
    let long = format!("{{\"step\":2,\"time_secs\":1.0,\"loss\":{}}}", "1".repeat(1 << 20));
    let nested = "[".repeat(100_000);
    let damaged =
        ["", "[]", "{}", "{\"step\":-1,\"time_secs\":1}", "{\"step\":2}", "\u{0}\u{0}", long.as_str(), nested.as_str()];
    for damaged in damaged.into_iter().chain(["{\"step\":2,\"time_secs\":1.0,\"loss\":\"high\"}"]) {
        let text = format!("{{\"step\":1,\"time_secs\":1.0}}\n{damaged}\n{{\"step\":3,\"time_secs\":1.0}}\n");
        fs::write(&path, &text).unwrap();
        let error = MetricsLines::resume(&path, 3).unwrap_err();
        assert!(matches!(error, MetricsError::Damaged { line: 2, .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

const FOLDER: &str = "EGOM2P_TEST_METRICS";

#[test]
#[ignore = "what a_full_disk_leaves_whole_lines runs in a process with a limit"]
fn child_writes_until_the_disk_is_full() {
    let folder = env::var_os(FOLDER).unwrap();
    let mut lines = MetricsLines::create(&Path::new(&folder).join(LINES_FILE)).unwrap();
    let error = (1..).find_map(|step| lines.write(&metrics(step)).err()).unwrap();
    assert!(matches!(error, MetricsError::Write { .. }), "{error}");
}

#[test]
fn a_full_disk_leaves_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 3; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).arg(env::current_exe().unwrap()).env(FOLDER, folder.path());
    command.args(["child_writes_until_the_disk_is_full", "--exact", "--ignored", "--nocapture"]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    let path = folder.path().join(LINES_FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("}\n") && text.len() > 2900, "{text}");
    assert_eq!(read(&path).len(), text.lines().count());
}

/// Where it is kept for a look: the folder that `EGOM2P_TEST_PICTURES` names.
#[test]
fn the_loss_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(LINES_FILE);
    let mut lines = MetricsLines::create(&path).unwrap();
    let mut noise = 1_u64;
    for step in 1..=20_000_u64 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wave = (noise >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
        let loss = |floor: f64| floor + 5.0 * (-(step as f64) / 4000.0).exp() + wave;
        let mut values = vec![("loss", loss(3.0)), ("learning_rate", 1e-4)];
        values.extend([("loss/camera", loss(2.0)), ("loss/depth", loss(4.0)), ("loss/gaze", loss(1.0))]);
        // A step that failed, and a modality that some batches lack.
        values.push(("loss/rgb", if step == 5000 { f64::NAN } else { loss(5.0) }));
        values.truncate(if step % 3 == 0 { 5 } else { 6 });
        if step % 1000 == 0 {
            values.push(("validation/loss", loss(3.2) - wave));
        }
        lines.write(&StepMetrics::now(step, values)).unwrap();
    }
    let kept = env::var_os("EGOM2P_TEST_PICTURES");
    let picture = kept.as_ref().map_or(folder.path(), Path::new).join("loss.png");
    draw_loss(&path, &picture).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(&picture).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1000, 876));
    let n = |colour: [u8; 3]| pixels.as_chunks::<3>().0.iter().filter(|pixel| **pixel == colour).count();
    // Loss, validation, and the four parts.
    for colour in [[96, 160, 255], [255, 176, 64], [240, 96, 88], [104, 208, 120]] {
        assert!(n(colour) > 500, "{} pixels of {colour:?}", n(colour));
    }
}

#[test]
fn a_picture_of_no_steps_or_of_one_is_drawn_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = MetricsFolder::create(folder.path()).unwrap();
    assert!(files.draw().unwrap().is_file());
    files.write(&metrics(1)).unwrap();
    assert!(files.draw().unwrap().is_file());
    let error = draw_loss(&folder.path().join(LINES_FILE), &folder.path().join("none/loss.png")).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 2);
}
