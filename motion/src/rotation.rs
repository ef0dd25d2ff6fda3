//! Small vectors and matrices: only what poses need.

pub(super) type Vector = [f64; 3];
/// Row-major.
pub(super) type Matrix = [Vector; 3];

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

pub(super) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(super) fn subtract(a: Vector, b: Vector) -> Vector {
    std::array::from_fn(|i| a[i] - b[i])
}

pub(super) fn scale(a: Vector, factor: f64) -> Vector {
    a.map(|value| value * factor)
}

pub(super) fn transform(matrix: &Matrix, vector: Vector) -> Vector {
    matrix.map(|row| dot(row, vector))
}

pub(super) fn transpose(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| matrix[j][i]))
}

pub(super) fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let columns = transpose(b);
    a.map(|row| columns.map(|column| dot(row, column)))
}

/// The inverse by cofactors, or `None` for a matrix without one.
pub(super) fn inverse(matrix: &Matrix) -> Option<Matrix> {
    let [a, b, c] = *matrix;
    let columns = [cross(b, c), cross(c, a), cross(a, b)];
    let determinant = dot(a, columns[0]);
    (determinant.is_normal()).then(|| transpose(&columns.map(|column| scale(column, 1.0 / determinant))))
}

/// The rotation whose first two columns are `first` and what `second` has beyond it (Gram-Schmidt), or `None` where
/// the two span no plane.
pub(super) fn from_columns(first: Vector, second: Vector) -> Option<Matrix> {
    const SMALLEST: f64 = 1e-9;
    let unit = |vector: Vector| (norm(vector) > SMALLEST).then(|| scale(vector, 1.0 / norm(vector)));
    let x = unit(first)?;
    let y = unit(subtract(second, scale(x, dot(x, second))))?;
    Some(transpose(&[x, y, cross(x, y)]))
}

/// The rotation nearest to a matrix that is one up to rounding, by two Newton steps towards its polar factor.
pub(super) fn nearest(matrix: &Matrix) -> Matrix {
    (0..2).fold(*matrix, |matrix, _| match inverse(&matrix) {
        Some(inverse) => std::array::from_fn(|i| std::array::from_fn(|j| 0.5 * (matrix[i][j] + inverse[j][i]))),
        None => matrix,
    })
}

/// The unit quaternion `[x, y, z, w]` of a rotation, with w >= 0.
pub(super) fn quaternion(r: &Matrix) -> [f64; 4] {
    let diagonal = [r[0][0], r[1][1], r[2][2]];
    let trace: f64 = diagonal.iter().sum();
    let off = [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]];
    let mut q = [off[0], off[1], off[2], 1.0 + trace];
    // The largest component is divided by, so nothing is lost for turns near 180 degrees.
    if let Some(largest) = (0..3).find(|&i| diagonal[i] > trace && (0..3).all(|j| diagonal[i] >= diagonal[j])) {
        let sum = |j: usize| r[largest][j] + r[j][largest];
        q = [sum(0), sum(1), sum(2), off[largest]];
        q[largest] = 1.0 + 2.0 * diagonal[largest] - trace;
    }
    let length = q.iter().map(|value| value * value).sum::<f64>().sqrt() * if q[3] < 0.0 { -1.0 } else { 1.0 };
    q.map(|value| value / length)
}

/// The angle of a rotation in radians, accurate for small angles as well.
pub(super) fn angle(r: &Matrix) -> f64 {
    let [x, y, z, w] = quaternion(r);
    2.0 * norm([x, y, z]).atan2(w)
}

/// The rotation of a unit quaternion `[x, y, z, w]`.
pub(super) fn from_quaternion([x, y, z, w]: [f64; 4]) -> Matrix {
    [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
        [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
        [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
    ]
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact values are meant")]
mod tests {
    use super::{angle, from_columns, from_quaternion, inverse, multiply, quaternion};
    use proptest::prelude::*;

    fn unit_quaternion() -> impl Strategy<Value = [f64; 4]> {
        prop::array::uniform4(-1.0_f64..1.0)
            .prop_filter("long enough to normalise", |q| q.iter().map(|v| v * v).sum::<f64>() > 1e-2)
            .prop_map(|q| {
                let length = q.iter().map(|v| v * v).sum::<f64>().sqrt() * q[3].signum();
                q.map(|value| value / length)
            })
    }

    proptest! {
        #[test]
        fn quaternions_survive_the_way_through_a_matrix(q in unit_quaternion()) {
            let back = quaternion(&from_quaternion(q));
            prop_assert!(q.iter().zip(back).all(|(a, b)| (a - b).abs() < 1e-12), "{back:?}");
        }

        #[test]
        fn an_inverse_undoes(q in unit_quaternion()) {
            let r = from_quaternion(q);
            let product = multiply(&r, &inverse(&r).expect("a rotation has an inverse"));
            prop_assert!(angle(&product) < 1e-7);
        }
    }

    #[test]
    fn half_turns_have_quaternions() {
        for axis in 0..3 {
            let mut q = [0.0; 4];
            q[axis] = 1.0;
            assert_eq!(quaternion(&from_quaternion(q)).map(f64::abs), q);
        }
    }

    #[test]
    fn columns_without_a_plane_are_refused() {
        assert!(from_columns([0.0; 3], [1.0, 0.0, 0.0]).is_none());
        assert!(from_columns([1.0, 2.0, 3.0], [-2.0, -4.0, -6.0]).is_none());
        assert!(from_columns([f64::NAN; 3], [1.0, 0.0, 0.0]).is_none());
    }
}
