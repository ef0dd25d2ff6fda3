//! What validation measures, on cases whose answer is known.

use crate::clips::{CAMERA_DEVIATION, CAMERA_MEAN};
use egom2p_train::tokenizers::{CameraErrors, CodebookUsage, GazeErrors, TokenizerError, valid_squared_error};
use tch::Tensor;

fn normalised(poses: &[[f64; 9]]) -> Tensor {
    let value = |pose: &[f64; 9], at: usize| ((pose[at] - CAMERA_MEAN[at]) / CAMERA_DEVIATION[at]) as f32;
    let values: Vec<f32> = poses.iter().flat_map(|pose| (0..9).map(move |at| value(pose, at))).collect();
    Tensor::from_slice(&values).reshape([1, -1, 9])
}

#[test]
fn camera_errors_are_angles_and_metres() {
    let (sine, cosine) = 0.3_f64.sin_cos();
    let still = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    // The second column is neither of length 1 nor at a right angle to the first, and comes out of the plane of both.
    let turned = [2.0 * cosine, 2.0 * sine, 0.0, -sine + cosine, cosine + sine, 0.0, 0.1, -0.2, 0.3];
    let mut errors = CameraErrors::new(CAMERA_MEAN, CAMERA_DEVIATION);
    errors.add(&normalised(&[still, turned]), &normalised(&[still, still])).unwrap();
    assert!((errors.rotation_radians() - 0.15).abs() < 1e-5, "{errors:?}");
    assert!((errors.translation_metres() - 0.1).abs() < 1e-6, "{errors:?}");
    let shape = errors.add(&normalised(&[still]), &normalised(&[still, still]));
    assert!(matches!(shape, Err(TokenizerError::Shape { .. })));
}

#[test]
fn gaze_counts_where_it_is_valid() {
    let gaze = Tensor::from_slice(&[0.1_f32, 0.2, 1.0, 9.0, 9.0, 0.0, -0.5, 0.5, 1.0]).reshape([1, 3, 3]);
    let decoded = Tensor::from_slice(&[0.2_f32, 0.0, 5.0, 5.0, -0.5, 0.1]).reshape([1, 3, 2]);
    let loss = valid_squared_error(&decoded, &gaze).unwrap().double_value(&[]);
    assert!((loss - (0.01 + 0.04 + 0.16) / 2.0).abs() < 1e-6, "{loss}");
    let mut errors = GazeErrors::default();
    errors.add(&decoded, &gaze).unwrap();
    assert!((errors.mean_squared() - 0.21 / 4.0).abs() < 1e-6, "{errors:?}");
    assert!((errors.mean_absolute() - 0.7 / 4.0).abs() < 1e-6, "{errors:?}");
    let blind = &gaze * Tensor::from_slice(&[1.0_f32, 1.0, 0.0]);
    assert!(valid_squared_error(&decoded, &blind).unwrap().double_value(&[]).abs() < f64::EPSILON);
}

#[test]
fn usage_is_a_share_and_a_perplexity() {
    let mut usage = CodebookUsage::new(8);
    usage.add(&Tensor::from_slice(&[1_i64, 2, 1, 2]).reshape([2, 2])).unwrap();
    usage.add(&Tensor::from_slice(&[5_i64, 7, 5, 7])).unwrap();
    assert!((usage.used_share() - 0.5).abs() < f64::EPSILON);
    assert!((usage.perplexity() - 4.0).abs() < 1e-12, "{}", usage.perplexity());
    assert!(usage.add(&Tensor::from_slice(&[8_i64])).is_err());
}
