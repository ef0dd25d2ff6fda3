use super::rotation::{self, Matrix, Vector};
use super::{MotionError, Pose};

/// How far a predicted trajectory is from a reference, by the published example script (specification section 4.5).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrajectoryErrors {
    /// Absolute trajectory error in metres: RMSE of the positions after the best rotation about the origin. Neither
    /// translation nor scale are aligned.
    pub ate: f64,
    /// Relative translation error in metres: RMSE over steps from frame to frame.
    pub rte: f64,
    /// Relative rotation error in degrees: RMSE over steps from frame to frame.
    pub rre_degrees: f64,
}

/// Compares two trajectories frame by frame. Fails for different lengths, for fewer than two frames, and for poses
/// without inverse.
pub fn trajectory_errors(reference: &[Pose], predicted: &[Pose]) -> Result<TrajectoryErrors, MotionError> {
    let (n_reference, n_predicted) = (reference.len(), predicted.len());
    if n_reference != n_predicted || n_reference < 2 {
        return Err(MotionError::Lengths { n_reference, n_predicted });
    }
    let alignment = best_rotation(reference, predicted);
    let position_error = |(reference, predicted): (&Pose, &Pose)| {
        rotation::norm(rotation::subtract(
            reference.translation,
            rotation::transform(&alignment, predicted.translation),
        ))
    };
    let ate = root_mean_square(reference.iter().zip(predicted).map(position_error));

    let steps = steps(reference)?.into_iter().zip(steps(predicted)?).enumerate();
    let errors = steps.map(|(frame, (reference, predicted))| {
        let back = reference.inverse().ok_or(MotionError::Degenerate { frame })?;
        Ok(back.compose(&predicted))
    });
    let errors = errors.collect::<Result<Vec<Pose>, MotionError>>()?;
    let rte = root_mean_square(errors.iter().map(|error| rotation::norm(error.translation)));
    // Poses that were stored in fp32 are rotations only up to rounding.
    let angle = |error: &Pose| rotation::angle(&rotation::nearest(&error.rotation)).to_degrees();
    let rre_degrees = root_mean_square(errors.iter().map(angle));
    Ok(TrajectoryErrors { ate, rte, rre_degrees })
}

/// The pose of every frame in the frame before it.
fn steps(poses: &[Pose]) -> Result<Vec<Pose>, MotionError> {
    let step = |(frame, pair): (usize, &[Pose])| {
        let back = pair[0].inverse().ok_or(MotionError::Degenerate { frame })?;
        Ok(back.compose(&pair[1]))
    };
    poses.windows(2).enumerate().map(step).collect()
}

fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), value| (sum + value * value, n + 1));
    (sum / f64::from(n)).sqrt()
}

/// The rotation that takes the centred predicted positions closest to the centred reference positions: the unit
/// quaternion with the largest q^T K q (Horn), which is the SVD solution with its sign fix.
fn best_rotation(reference: &[Pose], predicted: &[Pose]) -> Matrix {
    let (reference_centre, predicted_centre) = (centre(reference), centre(predicted));
    let mut s = [[0.0; 3]; 3];
    for (reference, predicted) in reference.iter().zip(predicted) {
        let to = rotation::subtract(reference.translation, reference_centre);
        let from = rotation::subtract(predicted.translation, predicted_centre);
        for i in 0..3 {
            for j in 0..3 {
                s[i][j] += from[i] * to[j];
            }
        }
    }
    let trace = s[0][0] + s[1][1] + s[2][2];
    let off = [s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]];
    let k: [[f64; 4]; 4] = std::array::from_fn(|i| {
        std::array::from_fn(|j| match (i, j) {
            (3, 3) => trace,
            (3, other) | (other, 3) => off[other],
            _ => s[i][j] + s[j][i] - if i == j { trace } else { 0.0 },
        })
    });
    rotation::from_quaternion(largest_eigenvector(k))
}

fn centre(poses: &[Pose]) -> Vector {
    let n = poses.len() as f64;
    std::array::from_fn(|i| poses.iter().map(|pose| pose.translation[i]).sum::<f64>() / n)
}

/// The unit eigenvector of the largest eigenvalue of a symmetric matrix, by cyclic Jacobi rotations.
fn largest_eigenvector(mut a: [[f64; 4]; 4]) -> [f64; 4] {
    const N_SWEEPS: usize = 30;
    let mut vectors: [[f64; 4]; 4] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    for _ in 0..N_SWEEPS {
        for p in 0..4 {
            for q in p + 1..4 {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = tangent.hypot(1.0).recip();
                let sine = tangent * cosine;
                for row in &mut a {
                    (row[p], row[q]) = (cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]);
                }
                let (upper, lower) = a.split_at_mut(q);
                for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                }
                for row in &mut vectors {
                    (row[p], row[q]) = (cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]);
                }
            }
        }
    }
    let largest = (0..4).fold(0, |best, i| if a[i][i] > a[best][best] { i } else { best });
    std::array::from_fn(|i| vectors[i][largest])
}

#[cfg(test)]
mod tests {
    use super::{Pose, trajectory_errors};
    use crate::MotionError;
    use crate::rotation::from_quaternion;

    fn trajectory() -> Vec<Pose> {
        let pose = |i: i32| {
            let t = f64::from(i) / 10.0;
            let half = t / 4.0;
            let rotation = from_quaternion([0.0, half.sin(), 0.0, half.cos()]);
            Pose { rotation, translation: [t.sin(), 0.3 * t, (2.0 * t).cos()] }
        };
        (0..40).map(pose).collect()
    }

    #[test]
    fn a_rotated_trajectory_has_no_error() {
        let reference = trajectory();
        let turn = Pose { rotation: from_quaternion([0.5, -0.5, 0.5, 0.5]), translation: [0.0; 3] };
        let predicted: Vec<Pose> = reference.iter().map(|pose| turn.compose(pose)).collect();
        let errors = trajectory_errors(&reference, &predicted).expect("equal lengths");
        assert!(errors.ate < 1e-12 && errors.rte < 1e-12 && errors.rre_degrees < 1e-6, "{errors:?}");
    }

    #[test]
    fn an_offset_counts() {
        let reference = trajectory();
        let moved = |pose: &Pose| Pose { translation: pose.translation.map(|value| value + 1.0), ..*pose };
        let predicted: Vec<Pose> = reference.iter().map(moved).collect();
        let errors = trajectory_errors(&reference, &predicted).expect("equal lengths");
        assert!((errors.ate - 3.0_f64.sqrt()).abs() < 1e-12, "{errors:?}");
    }

    #[test]
    fn trajectories_that_cannot_be_compared_are_errors() {
        let reference = trajectory();
        let lengths = MotionError::Lengths { n_reference: 40, n_predicted: 39 };
        assert_eq!(trajectory_errors(&reference, &reference[1..]), Err(lengths));
        assert!(trajectory_errors(&reference[..1], &reference[..1]).is_err());
    }
}
