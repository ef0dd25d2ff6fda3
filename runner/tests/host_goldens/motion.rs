use egom2p::motion::{
    GazeGeometry, Pose, canonicalise, denormalise_camera, denormalise_gaze, normalise_camera, normalise_gaze,
    trajectory_errors, world_from_camera,
};
use serde_json::Value;

use crate::golden::Golden;

/// Camera clips: the two goldens keep them under different names.
const CAMERA_CLIPS: [[&str; 4]; 2] = [
    ["cam_tokenizer", "raw_c2w", "canonical_9d", "x64"],
    ["host_functions", "pose/c2w", "pose/canonical_9d", "pose/normalised"],
];

/// The example's prediction is an fp32 file, whose poses the published script computes in fp32; this code uses fp64.
const FP32_POSES: f64 = 2.5e-7;

#[test]
fn camera_preprocessing() {
    for [file, poses, canonical, normalised] in CAMERA_CLIPS {
        let Some(golden) = Golden::open(file) else { return };
        let clips = golden.tensor(poses);
        let mut frames = Vec::new();
        for clip in clips.values.chunks(60 * 16) {
            frames.extend(canonicalise(&Pose::from_matrices(clip).expect("poses")).expect("rotations"));
        }
        assert_eq!(frames.len(), clips.values.len() / 16);
        golden.compare(canonical, frames.as_flattened());
        golden.compare(normalised, &normalise_camera(&frames));
        if file == "cam_tokenizer" {
            let input: Vec<f64> = normalise_camera(&frames).iter().map(|&value| f64::from(value as f32)).collect();
            golden.compare("x", &input);
        }
    }
}

#[test]
fn camera_postprocessing() {
    let Some(golden) = Golden::open("cam_tokenizer") else { return };
    let frames = denormalise_camera(&golden.tensor("decoded").f32()).expect("whole frames");
    golden.compare("denormalised", &widened(frames.as_flattened()));
    let denormalised = golden.tensor("denormalised").rows::<9>();
    golden.compare("rotmat", &rotations(&world_from_camera(&denormalised).expect("rotations")));

    let Some(golden) = Golden::open("host_functions") else { return };
    let frames = denormalise_camera(&golden.tensor("pose/normalised").f32()).expect("whole frames");
    golden.compare("pose/denormalised_f32", &widened(frames.as_flattened()));
    golden.compare("pose/rotmat_f32", &rotations(&world_from_camera(&frames).expect("rotations")));
    let six = golden.tensor("pose/rot6d_random").rows::<6>();
    let nine: Vec<[f64; 9]> =
        six.iter().map(|v| std::array::from_fn(|i| v.get(i).copied().unwrap_or_default())).collect();
    golden.compare("pose/rot6d_random_rotmat", &rotations(&world_from_camera(&nine).expect("rotations")));
}

#[test]
fn trajectory_metrics() {
    let Some(golden) = Golden::open("host_functions") else { return };
    for clip in ["example", "noisy0", "noisy1", "noisy2"] {
        let poses = |name: &str| {
            let frames = golden.tensor(&format!("metric/{clip}/{name}")).rows::<9>();
            world_from_camera(&frames).expect("rotations")
        };
        let (reference, predicted) = (poses("gt"), poses("pred"));
        let matrices: Vec<f64> = predicted.iter().flat_map(Pose::matrix).collect();
        let stored = format!("metric/{clip}/pred_4x4");
        if clip == "example" {
            let expected = golden.tensor(&stored).values;
            let worst = matrices.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= FP32_POSES, "{worst}");
        } else {
            golden.compare(&stored, &matrices);
        }
        let predicted = Pose::from_matrices(&golden.tensor(&stored).values).expect("poses");
        let errors = trajectory_errors(&reference, &predicted).expect("equal lengths");
        golden.compare(&format!("metric/{clip}/ate_rte_rre"), &[errors.ate, errors.rte, errors.rre_degrees]);
    }
}

#[test]
fn gaze_preprocessing() {
    let Some(golden) = Golden::open("host_functions") else { return };
    for clip in ["gaze/0", "gaze/1"] {
        let pixels = golden.tensor(&format!("{clip}/pixels")).rows::<2>();
        let geometry = geometry(&golden.description()["tensors"][format!("{clip}/pixels")]["params"]);
        golden.compare(&format!("{clip}/converted"), &samples(&geometry, &pixels));
    }

    let Some(golden) = Golden::open("gaze_tokenizer") else { return };
    let pixels = golden.tensor("raw").rows::<2>();
    let geometries = golden.description()["geometry"].as_array().expect("a geometry per clip").clone();
    let mut all = Vec::new();
    let mut input = Vec::new();
    for (clip, description) in pixels.chunks(60).zip(&geometries) {
        let geometry = geometry(description);
        all.extend(samples(&geometry, clip));
        input.extend(widened(&normalise_gaze(&geometry.normalise(clip).expect("a resolution"))));
    }
    golden.compare("x64", &all);
    golden.compare("x", &input);
}

#[test]
fn gaze_postprocessing() {
    let Some(golden) = Golden::open("gaze_tokenizer") else { return };
    let frames = denormalise_gaze(&golden.tensor("decoded").f32()).expect("whole frames");
    golden.compare("denormalised", &widened(frames.as_flattened()));
}

#[test]
fn the_published_geometries_have_names() {
    let Some(golden) = Golden::open("gaze_tokenizer") else { return };
    assert_eq!(geometry(&golden.description()["geometry"][0]), GazeGeometry::HOLO_ASSIST);
    assert_eq!(geometry(&golden.description()["geometry"][1]), GazeGeometry::ARIA);
}

fn geometry(description: &Value) -> GazeGeometry {
    let size = |name: &str| std::array::from_fn(|i| description[name][i].as_f64().expect("a size in pixels"));
    GazeGeometry { original: size("orig_res"), resized: size("resize_res"), crop: size("new_res") }
}

fn samples(geometry: &GazeGeometry, pixels: &[[f64; 2]]) -> Vec<f64> {
    let samples = geometry.normalise(pixels).expect("a resolution");
    let frame = |sample: &egom2p::motion::GazeSample| {
        [sample.position[0], sample.position[1], f64::from(u8::from(sample.valid))]
    };
    samples.iter().flat_map(frame).collect()
}

fn rotations(poses: &[Pose]) -> Vec<f64> {
    poses.iter().flat_map(|pose| pose.rotation.as_flattened().to_vec()).collect()
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}
