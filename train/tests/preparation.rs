//! Preparation of camera and gaze against the published code, where its values are at hand, and what becomes of gaps.
#![allow(clippy::print_stderr, clippy::float_cmp, reason = "tests say that they cannot run, and compare exact values")]

use egom2p_motion::{GazeGeometry, MotionError};
use egom2p_train::preparation::{
    CameraRecording, DatasetConvention, GazeRecording, PreparationError, PreparationSettings, Split,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::PathBuf;

const N_FRAMES: usize = 60;

struct Golden {
    about: Value,
    tensors: Vec<u8>,
}

impl Golden {
    fn read(name: &str) -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
        let folder = std::env::var_os("EGOM2P_GOLDEN_DIR").map_or(beside, PathBuf::from);
        let Ok(text) = std::fs::read_to_string(folder.join(name).with_extension("json")) else {
            eprintln!("skipped: there is no {name} in {}; set EGOM2P_GOLDEN_DIR", folder.display());
            return None;
        };
        let about = egom2p_model::read_golden_json(&text).expect("a description");
        let tensors = std::fs::read(folder.join(name).with_extension("safetensors")).expect("its tensors");
        Some(Self { about, tensors })
    }

    fn doubles(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.tensors).expect("a sound file");
        let view = file.tensor(name).expect("a tensor of this name");
        match view.dtype() {
            Dtype::F64 => view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
            Dtype::F32 => view.data().as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
            other => panic!("{name} is {other:?}"),
        }
    }
}

/// The published settings, with one more dataset whose gaze lies so.
fn settings(gaze: GazeGeometry) -> PreparationSettings {
    let mut settings = PreparationSettings::published();
    settings.datasets.push(DatasetConvention { name: "golden".to_owned(), camera: None, gaze: Some(gaze) });
    settings.validate().unwrap_or_else(|error| panic!("{error}"));
    settings
}

fn recording(name: &str, matrices: &[f64]) -> CameraRecording {
    CameraRecording { name: name.to_owned(), world_from_camera: matrices.as_chunks().0.to_vec() }
}

fn assert_near(what: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let differences = actual.iter().zip(expected).map(|(actual, expected)| (actual - expected).abs());
    let largest =
        differences.fold(0.0, |largest: f64, one| if one.is_nan() { f64::INFINITY } else { largest.max(one) });
    assert!(largest <= tolerance, "{what}: {largest:.1e}, tolerance {tolerance:.0e}");
}

#[test]
fn camera_clips_are_the_published_ones() {
    let files = [
        ("cam_tokenizer", ["raw_c2w", "canonical_9d", "x64"]),
        ("host_functions", ["pose/c2w", "pose/canonical_9d", "pose/normalised"]),
    ];
    let settings = PreparationSettings::published();
    for (file, [raw, canonical, normalised]) in files {
        let Some(golden) = Golden::read(file) else { return };
        let raw = golden.doubles(raw);
        let recordings: Vec<_> = raw.chunks_exact(16 * N_FRAMES).map(|clip| recording("clip", clip)).collect();
        let prepared = settings.camera_clips("h2o", &recordings, Split::Training).expect("poses");
        assert_eq!((prepared.clips.len(), prepared.skipped.len()), (recordings.len(), 0));
        assert_near(canonical, prepared.clips.concat().as_flattened(), &golden.doubles(canonical), 1e-12);
        let inputs: Vec<f32> =
            recordings.iter().flat_map(|clip| settings.camera_input("taco", clip).expect("a clip")).collect();
        // Rounding to f32 comes last, so that nearly all values have the same bits.
        let expected = golden.doubles(normalised);
        let inputs: Vec<f64> = inputs.into_iter().map(f64::from).collect();
        assert_near(normalised, &inputs, &expected, 1e-11 + 8.0 * 2.0_f64.powi(-24));
        let n_other =
            inputs.iter().zip(&expected).filter(|(input, expected)| **input != f64::from(**expected as f32)).count();
        assert!(n_other * 1000 <= inputs.len(), "{n_other} of {} round otherwise", inputs.len());
    }
}

#[test]
fn gaze_clips_are_the_published_ones() {
    let Some(golden) = Golden::read("gaze_tokenizer") else { return };
    let pixels: Vec<[f64; 2]> = golden.doubles("raw").as_chunks().0.to_vec();
    let expected = golden.doubles("x");
    let geometries = golden.about["geometry"].as_array().expect("one per sample");
    for (sample, (pixels, geometry)) in pixels.chunks_exact(N_FRAMES).zip(geometries).enumerate() {
        let expected = &expected[sample * N_FRAMES * 3..][..N_FRAMES * 3];
        compare_gaze(&format!("sample {sample}"), pixels, geometry, expected);
    }
    let golden = Golden::read("host_functions").expect("beside the other");
    for sample in 0..2 {
        let name = format!("gaze/{sample}/pixels");
        let pixels: Vec<[f64; 2]> = golden.doubles(&name).as_chunks().0.to_vec();
        let expected = golden.doubles(&format!("gaze/{sample}/converted"));
        compare_gaze(&name, &pixels, &golden.about["tensors"][&name]["params"], &expected);
    }
}

fn compare_gaze(what: &str, pixels: &[[f64; 2]], geometry: &Value, expected: &[f64]) {
    let pair = |name: &str| [0, 1].map(|axis| geometry[name][axis].as_f64().expect("a resolution"));
    let geometry = GazeGeometry { original: pair("orig_res"), resized: pair("resize_res"), crop: pair("new_res") };
    let clip = GazeRecording { name: what.to_owned(), pixels: pixels.to_vec() };
    let prepared = settings(geometry).gaze_input("golden", &clip).expect("a clip");
    let input: Vec<f64> = prepared.input.iter().copied().map(f64::from).collect();
    assert_near(what, &input, expected, 2.0 * 2.0_f64.powi(-24));
    assert_eq!(prepared.n_valid as f64, expected.chunks_exact(3).map(|frame| frame[2]).sum::<f64>(), "{what}");
    assert!(prepared.n_valid > 0 && prepared.n_valid < N_FRAMES, "{what}: the golden has frames of both kinds");
}

/// A camera that stands still but moves by a hundredth of a metre per frame along the world's x axis.
fn sliding(first: usize, n_frames: usize) -> Vec<f64> {
    let frame = |index: usize| {
        [1.0, 0.0, 0.0, (first + index) as f64 / 100.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    };
    (0..n_frames).flat_map(frame).collect()
}

#[test]
fn every_convention_ends_in_opencv_axes() {
    let settings = PreparationSettings::published();
    // Where a step along the dataset's x, y and z axis of the camera points in OpenCV's: columns of the inverse.
    let expected: [(&str, [[f64; 3]; 3]); 4] = [
        ("holoassist", [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
        ("egoexo", [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        ("egogen", [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]),
        ("hot3d_aria", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ];
    for (dataset, axes) in expected {
        for (axis, direction) in axes.into_iter().enumerate() {
            let mut matrices = sliding(0, N_FRAMES);
            for matrix in matrices.chunks_exact_mut(16) {
                let along = std::mem::take(&mut matrix[3]);
                matrix[3 + 4 * axis] = along;
            }
            let clips =
                settings.camera_clips(dataset, &[recording("clip", &matrices)], Split::Training).expect("poses");
            let last = clips.clips[0][N_FRAMES - 1];
            assert_near(dataset, &last[6..], &direction.map(|value| value * 0.59), 1e-12);
            assert_near(dataset, &last[..6], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 1e-12);
        }
    }
}

#[test]
fn windows_join_consecutive_clips_and_no_others() {
    let settings = PreparationSettings::published();
    let clips = [recording("a", &sliding(0, 40)), recording("b", &sliding(40, 40)), recording("c", &sliding(80, 60))];
    let count = |dataset: &str, split| settings.camera_clips(dataset, &clips, split).expect("poses").clips.len();
    assert_eq!(count("arctic", Split::Training), 9);
    assert_eq!(count("arctic", Split::Validation), 3);
    assert_eq!(count("taco", Split::Training), 1);
    let joined = settings.camera_clips("arctic", &clips, Split::Training).expect("poses");
    // Every window starts at its own origin, whichever clip it began in.
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    for clip in &joined.clips {
        assert_eq!((clip.len(), clip[0]), (N_FRAMES, identity));
        assert_near("the last frame", &clip[N_FRAMES - 1], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.59, 0.0, 0.0], 1e-12);
    }
}

#[test]
fn clips_with_gaps_are_left_out_and_not_bridged() {
    let settings = PreparationSettings::published();
    let mut broken = sliding(40, 40);
    broken[16 * 7 + 3] = f64::NAN;
    let clips = [recording("a", &sliding(0, 70)), recording("b", &broken), recording("c", &sliding(80, 60))];
    let prepared = settings.camera_clips("egoexo", &clips, Split::Training).expect("poses");
    assert_eq!((prepared.clips.len(), &prepared.skipped[..]), (2 + 1, &["b".to_owned()][..]));
    assert!(prepared.clips.iter().flatten().flatten().all(|value| value.is_finite()));
    let none = settings.camera_clips("h2o", &clips[1..2], Split::Training).expect("nothing to do");
    assert!(none.clips.is_empty());
}

#[test]
fn what_is_no_pose_is_named() {
    let settings = PreparationSettings::published();
    let error = |change: fn(&mut Vec<f64>)| {
        let mut matrices = sliding(0, N_FRAMES);
        change(&mut matrices);
        let clips = [recording("first", &sliding(0, N_FRAMES)), recording("second", &matrices)];
        settings.camera_clips("arctic", &clips, Split::Training).expect_err("no pose")
    };
    let wrong = |error| PreparationError::Motion { recording: "second".to_owned(), error };
    assert_eq!(error(|m| m[16 * 3..16 * 3 + 12].fill(0.0)), wrong(MotionError::Degenerate { frame: 3 }));
    assert_eq!(error(|m| m[16 * 5] = -1.0), wrong(MotionError::Degenerate { frame: 5 }));
    assert_eq!(error(|m| m[15] = 2.0), wrong(MotionError::LastRow { frame: 0 }));
    let clip = recording("short", &sliding(0, 59));
    let length = PreparationError::Length { recording: "short".to_owned(), n_frames: 59, expected: 60 };
    assert_eq!(settings.camera_input("h2o", &clip), Err(length));
    let mut broken = sliding(0, N_FRAMES);
    broken[3] = f64::INFINITY;
    let not_finite =
        PreparationError::Motion { recording: "clip".to_owned(), error: MotionError::NotFinite { frame: 0 } };
    assert_eq!(settings.camera_input("h2o", &recording("clip", &broken)), Err(not_finite));
    let absent = PreparationError::Absent { dataset: "h2o".to_owned(), modality: "gaze" };
    assert_eq!(settings.gaze_clips("h2o", &[], Split::Training), Err(absent));
}

#[test]
fn gaze_that_is_missing_or_far_out_is_marked() {
    let settings = settings(GazeGeometry::whole(100.0, 100.0));
    let mut pixels = vec![[50.0, 25.0]; 2 * N_FRAMES];
    pixels[1] = [f64::NAN, 50.0];
    pixels[2] = [121.0, 50.0];
    pixels[3] = [50.0, -21.0];
    pixels[4] = [119.0, -19.0];
    let recordings = [GazeRecording { name: "gaze".to_owned(), pixels }];
    let clips = settings.gaze_clips("golden", &recordings, Split::Training).expect("gaze");
    assert_eq!(clips.len(), 7);
    assert_eq!((clips[0].n_valid, clips[1].n_valid), (N_FRAMES - 3, N_FRAMES));
    let (frames, _) = clips[0].input.as_chunks::<3>();
    assert_eq!(frames[0], [0.0, -0.5, 1.0]);
    assert_eq!(frames[1..4], [[-1.0, -1.0, 0.0]; 3]);
    assert_eq!(frames[4][2], 1.0);
    let lost = [GazeRecording { name: "lost".to_owned(), pixels: vec![[f64::NAN; 2]; N_FRAMES] }];
    let clips = settings.gaze_clips("golden", &lost, Split::Validation).expect("gaze");
    assert_eq!((clips.len(), clips[0].n_valid), (1, 0));
}
