use std::path::PathBuf;

use egom2p::io::{read_npy, read_npz, read_token_file};
use egom2p::motion::{
    GazeGeometry, Pose, TrajectoryErrors, canonicalise, denormalise_camera, normalise_camera, trajectory_errors,
    world_from_camera,
};

use crate::golden;

/// What the published example script prints for the released tokenizer's reconstruction (specification section 4.5).
const PUBLISHED: TrajectoryErrors = TrajectoryErrors {
    ate: 0.005_874_041_574_973_295_5,
    rte: 0.002_837_537_725_354_713,
    rre_degrees: 0.298_047_011_553_060_9,
};

/// The script turns the fp32 reconstruction into poses in fp32.
const FP32: f64 = 1e-6;

fn clip(name: &str) -> Option<PathBuf> {
    let path = golden::folder()?.join("../clips").join(name);
    if path.is_file() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: no {}", path.display());
    }
    None
}

#[test]
fn the_released_reconstruction_has_its_published_errors() {
    let (Some(poses), Some(reconstruction)) = (clip("cam.npy"), clip("cam-recon.npy")) else { return };
    let array = read_npy(&poses).expect("an array");
    array.check_shape(&poses, &[60, 4, 4]).expect("60 poses");
    let world_from_camera_poses = Pose::from_matrices(&array.floats(&poses).expect("floats")).expect("poses");
    let canonical = canonicalise(&world_from_camera_poses).expect("rotations");
    let reference = world_from_camera(&canonical).expect("rotations");

    let array = read_npy(&reconstruction).expect("an array");
    array.check_shape(&reconstruction, &[60, 9]).expect("60 frames");
    let floats = array.floats(&reconstruction).expect("floats");
    let predicted = world_from_camera(floats.as_chunks::<9>().0).expect("rotations");

    let errors = trajectory_errors(&reference, &predicted).expect("equal lengths");
    assert!((errors.ate - PUBLISHED.ate).abs() < 1e-9, "{errors:?}");
    assert!((errors.rte - PUBLISHED.rte).abs() < FP32, "{errors:?}");
    assert!((errors.rre_degrees - PUBLISHED.rre_degrees).abs() < FP32, "{errors:?}");

    let normalised: Vec<f32> = normalise_camera(&canonical).into_iter().map(|value| value as f32).collect();
    let back = denormalise_camera(&normalised).expect("whole frames");
    let worst = back.as_flattened().iter().zip(canonical.as_flattened());
    let worst = worst.map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
    assert!(worst < FP32, "{worst}");
}

#[test]
fn a_real_gaze_clip_has_its_gaps() {
    let Some(path) = clip("gaze.npy") else { return };
    let array = read_npy(&path).expect("an array");
    array.check_shape(&path, &[60, 2]).expect("60 frames");
    let floats = array.floats(&path).expect("floats");
    let samples = GazeGeometry::HOLO_ASSIST.normalise(floats.as_chunks::<2>().0).expect("a resolution");
    let n_missing = floats.as_chunks::<2>().0.iter().filter(|frame| frame[0].is_nan()).count();
    assert_eq!(n_missing, 2);
    assert_eq!(samples.iter().filter(|sample| !sample.valid).count(), n_missing);
}

#[test]
fn real_token_files_are_read() {
    let video = [5, 32, 32];
    for (name, shape, n_vocabulary, smallest, largest) in [
        ("rgb2cam_egoexo.npz", &video[..], 64_000, 82, 63_875),
        ("rgb2gaze_egoexo.npz", &video[..], 64_000, 126, 63_955),
        ("cam-tok.npz", &[30][..], 256, 9, 247),
        ("gaze-tok.npz", &[30][..], 256, 7, 234),
    ] {
        let Some(path) = clip(name) else { return };
        let array = read_token_file(&path, "rgb", shape, n_vocabulary).expect("tokens");
        assert_eq!(array.tokens.iter().min(), Some(&smallest), "{name}");
        assert_eq!(array.tokens.iter().max(), Some(&largest), "{name}");
        assert_eq!(read_npz(&path, "arr_0").expect("an archive").shape, shape, "{name}");
        assert!(read_token_file(&path, "rgb", shape, largest as usize).is_err(), "{name}");
        assert!(read_token_file(&path, "rgb", &[7], n_vocabulary).is_err(), "{name}");
    }
}
