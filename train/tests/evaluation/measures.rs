//! The measures of an evaluation against numpy (`tests/golden/evaluation.py`).

use egom2p_motion::{Pose, trajectory_errors};
use egom2p_train::evaluation::{Baselines, DepthTruth, GazeTruth, Measure, video_errors};
use serde_json::Value;

/// Both sides compute in f64 from the same values; the angle is the arc cosine of numbers near 1 there.
const TOLERANCE: f64 = 1e-9;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/evaluation.json")).expect("the golden is JSON")
}

fn doubles(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

/// The golden prints floats with the digits of their doubles.
fn floats(value: &Value) -> Vec<f32> {
    doubles(value).into_iter().map(|value| value as f32).collect()
}

fn check(errors: &[(Measure, f64)], expected: &Value) {
    let expected = doubles(expected);
    assert_eq!(errors.len(), expected.len());
    for ((measure, actual), expected) in errors.iter().zip(expected) {
        let difference = (actual - expected).abs();
        assert!(difference <= TOLERANCE * expected.abs().max(1.0), "{}: {actual}, not {expected}", measure.name());
    }
}

#[test]
fn trajectories_are_as_numpy_measures_them() {
    let golden = &golden()["camera"];
    let poses = |name: &str| Pose::from_matrices(&doubles(&golden[name])).expect("matrices");
    let truth = poses("truth");
    let errors = trajectory_errors(&truth, &poses("predicted")).expect("equal lengths");
    check(&Measure::trajectory(&errors), &golden["errors"]);
    let still = Baselines::constant_pose(truth.len()).expect("poses");
    let errors = trajectory_errors(&truth, &still).expect("equal lengths");
    check(&Measure::trajectory(&errors), &golden["constant_pose"]);
}

#[test]
fn depth_is_as_numpy_measures_it() {
    let golden = &golden()["depth"];
    let [low, high] = doubles(&golden["range"])[..] else { panic!("a range has two ends") };
    let truth = DepthTruth::new(doubles(&golden["metres"]), [low, high]).expect("depths");
    let errors = truth.errors(&floats(&golden["values"])).expect("as many values");
    check(&Measure::depth(&errors), &golden["errors"]);
}

#[test]
fn gaze_is_as_numpy_measures_it() {
    let golden = &golden()["gaze"];
    let truth = GazeTruth::of_input(&floats(&golden["input"]));
    let predicted = floats(&golden["predicted"]);
    let [width, height] = doubles(&golden["crop"])[..] else { panic!("a crop has two sides") };
    let errors = truth.errors(predicted.as_chunks().0, [width as usize, height as usize]);
    let errors = errors.expect("as many samples").expect("valid samples");
    check(&Measure::gaze(&errors), &golden["errors"]);
}

#[test]
fn pictures_are_as_numpy_measures_them() {
    let golden = golden();
    let (truth, predicted) = (floats(&golden["video"]["truth"]), floats(&golden["depth"]["values"]));
    let errors = video_errors(&truth, &predicted).expect("as many values");
    check(&Measure::video(&errors), &golden["video"]["errors"]);
}
