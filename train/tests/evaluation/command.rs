use crate::bundle::Bench;
use egom2p::io::{ArrayData, NPZ_MEMBER, read_npz};
use serde_json::Value;
use std::fs;

fn mean(errors: &Value, path: &str) -> f64 {
    let cell = errors.pointer(path).unwrap_or_else(|| panic!("{path}: {errors}"));
    cell["mean"].as_f64().unwrap_or_else(|| panic!("{path}: {cell}"))
}

/// Mean squared distance of valid gaze from its mean over the training clips, over the clips of the validation split, and
/// their number.
fn gaze_by_hand(bench: &Bench) -> (f64, usize) {
    let read = |split: &str, dataset: &str| {
        let folder = bench.path(&format!("clips/{split}/{dataset}/gaze"));
        let mut clips = Vec::new();
        for entry in fs::read_dir(folder).expect("clips") {
            let path = entry.expect("a clip").path();
            let ArrayData::F64(values) = read_npz(&path, NPZ_MEMBER).expect("gaze").data else { panic!("f64") };
            // Of 16 pixels.
            clips.push(values.into_iter().map(|pixel| pixel / 16.0).collect::<Vec<f64>>());
        }
        clips
    };
    let both = |split: &str| [read(split, "rooms"), read(split, "tasks")].concat();
    let axis = |clip: &[f64], axis: usize| -> Vec<f64> {
        clip.chunks(2).map(|sample| sample[axis]).filter(|value| value.is_finite()).collect()
    };
    let training = both("train");
    let means = [0, 1].map(|index| {
        let all: Vec<f64> = training.iter().flat_map(|clip| axis(clip, index)).collect();
        all.iter().sum::<f64>() / all.len() as f64
    });
    let held_out = both("val");
    let errors = held_out.iter().filter(|clip| clip.iter().any(|value| value.is_finite())).map(|clip| {
        let squares = [0, 1].map(|index| {
            let values = axis(clip, index);
            values.iter().map(|value| (value - means[index]).powi(2)).sum::<f64>() / values.len() as f64
        });
        f64::midpoint(squares[0], squares[1])
    });
    let errors: Vec<f64> = errors.collect();
    (errors.iter().sum::<f64>() / errors.len() as f64, errors.len())
}

#[test]
fn held_out_clips_are_measured() {
    let Some(bench) = Bench::new() else { return };
    let line = "evaluate bundle --data clips --threads 1 --steps 1 --json --out table.md";
    let report = bench.json(line);
    assert_eq!([&report["clips"], &report["skipped"]], [3, 0], "{report}");
    let errors = &report["errors"];
    // Each dataset has what it has: walks no gaze, tasks no depth.
    let clips = |path: &str| errors.pointer(path).map(|cell| cell["clips"].clone());
    assert_eq!(clips("/all/camera/prediction/ate_metres"), Some(3.into()));
    assert_eq!(clips("/all/depth/prediction/abs_rel"), Some(2.into()));
    assert_eq!(clips("/tasks/depth/prediction/abs_rel"), None);
    assert_eq!(clips("/walks/gaze/prediction/mse"), None);
    assert_eq!(clips("/all/rgb/quantisation/psnr_db"), Some(3.into()));
    for path in ["/camera/quantisation/rre_degrees", "/depth/quantisation/aligned_abs_rel", "/gaze/quantisation/mse"] {
        assert!(mean(errors, &format!("/all{path}")) > 0.0, "{path}");
    }
    // Naive predictions do not depend on the model.
    let (expected, n_clips) = gaze_by_hand(&bench);
    let naive = mean(errors, "/all/gaze/mean_gaze/mse");
    assert_eq!(clips("/all/gaze/mean_gaze/mse"), Some(n_clips.into()));
    // Gaze is rounded to single precision on its way.
    assert!((naive - expected).abs() < 1e-6, "{naive}, not {expected}");
    let ratio = errors.pointer("/all/gaze/ratios/mean_gaze/mse").and_then(Value::as_f64).expect("a ratio");
    assert!((ratio - mean(errors, "/all/gaze/prediction/mse") / naive).abs() < 1e-9);

    let table = fs::read_to_string(bench.path("table.md")).expect("it was written");
    for part in
        ["# bundle on 3 clips of clips, val\n", "| camera, 3 clips | ATE, m |", "| naive: mean depth |", "## walks"]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
    // The same seed gives the same errors.
    let again = bench.json(line);
    assert_eq!(again["errors"], *errors);
    let fewer =
        bench.json("evaluate bundle --data clips --threads 1 --steps 1 --json --clips 1 --to gaze --split train");
    assert_eq!(fewer["clips"], 2, "{fewer}");
    assert!(fewer["errors"]["all"].get("camera").is_none(), "{fewer}");

    let refused = [
        ("evaluate nowhere --data clips", "bundle"),
        ("evaluate bundle --data nowhere", "nowhere is not a folder"),
        ("evaluate bundle --data clips --out nowhere/table.md", "nowhere/table.md cannot be written"),
    ];
    for (line, expected) in refused {
        let [what, mend] = bench.failure(line);
        assert!(
            what.starts_with("error: ") && what.contains(expected) && mend.starts_with("  help: "),
            "{what} {mend}"
        );
    }
    // A file with other arrays is left out and named.
    let clip = fs::read_dir(bench.path("clips/val/walks/cam")).expect("clips").next().expect("a clip").expect("a clip");
    fs::copy(clip.path(), bench.path("clips/val/walks/depth").join(clip.file_name())).expect("the folder is writable");
    let output = bench.run("evaluate bundle --data clips --threads 1 --steps 1 --to depth --json");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("of walks is left out: "), "{said}");
}
