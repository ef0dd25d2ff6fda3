use anyhow::ensure;
use egom2p_engine_core::{DType, Data, Tensor};
use serde::{Deserialize, Serialize};

/// The most elements of an output that are kept.
const MAX_KEPT: usize = 1 << 16;

/// How outputs are kept, for the manifest.
pub(super) const SAMPLING_RULE: &str = "of rows that no mask forbids, elements 0, stride, 2 stride, ... in row-major order, at most 65536 of them, with the \
     root mean square and the largest magnitude of all; the stride has no factor in common with the last axis";

/// What is kept of an output beside its values.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputRecord {
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    /// Elements of the rows that no mask forbids.
    pub(super) n_elements: usize,
    /// Every so many of them is kept.
    pub(super) stride: usize,
    /// Of floats: the root of their mean square.
    pub(super) rms: f64,
    /// Of floats: the largest magnitude.
    pub(super) max_abs: f64,
}

/// An output as it is kept.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) record: OutputRecord,
    pub(super) values: Tensor,
    /// Of logits: the place of the largest one in every row.
    pub(super) largest: Option<Vec<i64>>,
}

/// How far floats are apart.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Difference {
    /// The norm of the difference over the norm of the reference, or the difference of the norms where that is larger.
    pub(super) norm: f64,
    /// The largest difference over the largest magnitude of the reference; infinite where there is a NaN.
    pub(super) largest: f64,
}

impl Sample {
    /// What is kept of an output. `permitted` says which rows along its first two axes count.
    pub(super) fn of(name: &str, output: &Tensor, permitted: Option<&[bool]>, logits: bool) -> anyhow::Result<Self> {
        let shape = output.shape().to_vec();
        let width = shape.get(2..).unwrap_or_default().iter().product::<usize>().max(1);
        let counts = |at: &usize| permitted.is_none_or(|rows| rows.get(at / width).copied().unwrap_or(true));
        let kept: Vec<usize> = (0..output.n_elements()).filter(counts).collect();
        let stride = stride(kept.len(), shape.last().copied().unwrap_or(1));
        let places: Vec<usize> = kept.iter().step_by(stride).copied().collect();
        let (mut rms, mut max_abs, mut largest) = (0.0, 0.0, None);
        let values = match output.data() {
            Data::F32(values) => {
                let squares: f64 = kept.iter().map(|&at| f64::from(values[at]).powi(2)).sum();
                rms = (squares / kept.len().max(1) as f64).sqrt();
                // The comparison keeps a NaN, as `f64::max` would not.
                max_abs = kept
                    .iter()
                    .map(|&at| f64::from(values[at]).abs())
                    .fold(0.0, |max: f64, value| if value <= max { max } else { value });
                largest = logits.then(|| values.chunks_exact(width).map(arg_max).collect());
                Tensor::f32([places.len()], places.iter().map(|&at| values[at]).collect())?
            }
            Data::I64(values) => Tensor::i64([places.len()], places.iter().map(|&at| values[at]).collect())?,
            Data::Bool(values) => Tensor::bool([places.len()], places.iter().map(|&at| values[at]).collect())?,
        };
        let record = OutputRecord {
            name: name.to_owned(),
            dtype: output.dtype(),
            shape,
            n_elements: kept.len(),
            stride,
            rms,
            max_abs,
        };
        Ok(Self { record, values, largest })
    }

    /// How far floats are from those of the reference.
    pub(super) fn difference(&self, reference: &Self) -> Option<Difference> {
        let (actual, expected) = (self.values.as_f32()?, reference.values.as_f32()?);
        if actual.len() != expected.len() {
            return None;
        }
        let (mut largest, mut squares, mut expected_squares) = (0.0_f64, 0.0, 0.0);
        for (&actual, &expected) in actual.iter().zip(expected) {
            let difference = (f64::from(actual) - f64::from(expected)).abs();
            largest = if difference.is_finite() { largest.max(difference) } else { f64::INFINITY };
            squares += difference * difference;
            expected_squares += f64::from(expected).powi(2);
        }
        let of_magnitude = |actual: f64, expected: f64| relative((actual - expected).abs(), expected);
        let norm = relative(f64::sqrt(squares), f64::sqrt(expected_squares));
        Some(Difference {
            norm: larger(norm, of_magnitude(self.record.rms, reference.record.rms)),
            largest: larger(
                relative(largest, reference.record.max_abs),
                of_magnitude(self.record.max_abs, reference.record.max_abs),
            ),
        })
    }

    /// The integers, and those of the reference.
    pub(super) fn integers<'a>(&'a self, reference: &'a Self) -> Option<(&'a [i64], &'a [i64])> {
        Some((self.values.as_i64()?, reference.values.as_i64()?))
    }
}

impl OutputRecord {
    /// How many values are kept.
    pub(super) fn n_kept(&self) -> usize {
        self.n_elements.div_ceil(self.stride.max(1))
    }

    /// Fails unless the numbers fit each other, so that nothing that follows can run out of bounds.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let n_elements = self.shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
        let fits = n_elements.is_some_and(|n_elements| self.n_elements <= n_elements);
        ensure!(
            fits && self.stride > 0 && self.n_kept() <= MAX_KEPT && self.rms.is_finite() && self.max_abs.is_finite(),
            "the sizes of output {} do not fit each other",
            self.name
        );
        Ok(())
    }
}

/// The smallest stride that keeps few enough elements and does not stay in one column.
fn stride(n_elements: usize, n_columns: usize) -> usize {
    let mut stride = n_elements.div_ceil(MAX_KEPT).max(1);
    while stride > 1 && common_divisor(stride, n_columns.max(1)) > 1 {
        stride += 1;
    }
    stride
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// The place of the largest value, the first of equal ones.
pub(super) fn arg_max(row: &[f32]) -> i64 {
    let mut best = 0;
    for (at, &value) in row.iter().enumerate() {
        if value > row[best] {
            best = at;
        }
    }
    best as i64
}

/// A part of a magnitude; no difference is a part of any.
fn relative(difference: f64, magnitude: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference / magnitude }
}

/// The larger number, or NaN as infinity.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use egom2p_engine_core::Tensor;

    use super::{MAX_KEPT, Sample, stride};

    fn sample(values: Vec<f32>) -> Sample {
        let tensor = Tensor::f32([1, 2, values.len() / 2], values).expect("sizes agree");
        Sample::of("hidden", &tensor, None, true).expect("a legal output")
    }

    #[test]
    fn strides_reach_every_column() {
        assert_eq!((stride(10, 5), stride(MAX_KEPT, 4)), (1, 1));
        for (n_elements, n_columns) in [(3_932_160, 768), (16_384_000, 64_000), (3_342_336, 256)] {
            let stride = stride(n_elements, n_columns);
            assert!(n_elements.div_ceil(stride) <= MAX_KEPT);
            let mut columns: Vec<usize> = (0..n_columns).map(|at| at * stride % n_columns).collect();
            columns.sort_unstable();
            columns.dedup();
            assert_eq!(columns.len(), n_columns);
        }
    }

    #[test]
    fn differences_are_relative_and_nothing_makes_up_for_nan() {
        let reference = sample(vec![3.0, 4.0, 0.0, 0.0]);
        assert_eq!(reference.largest, Some(vec![1, 0]));
        let difference = sample(vec![3.0, 4.0, 0.0, 2.0]).difference(&reference).expect("floats");
        assert!((difference.norm - 0.4).abs() < 1e-9 && (difference.largest - 0.5).abs() < 1e-9);
        for wrong in [f32::NAN, f32::INFINITY] {
            let difference = sample(vec![3.0, wrong, 0.0, 0.0]).difference(&reference).expect("floats");
            assert!(difference.norm == f64::INFINITY && difference.largest == f64::INFINITY, "{difference:?}");
        }
    }

    #[test]
    fn what_is_not_sampled_counts_through_the_statistics() {
        let n = 4 * MAX_KEPT;
        let values = |last: f32| {
            let mut values = vec![1.0; n];
            values[n - 1] = last;
            sample(values)
        };
        let difference = values(100.0).difference(&values(1.0)).expect("floats");
        assert!((difference.largest - 99.0).abs() < 1e-6, "{difference:?}");
        assert_eq!(values(1.0).difference(&values(1.0)).map(|difference| difference.norm), Some(0.0));
    }

    #[test]
    fn masked_rows_do_not_count() {
        let tensor = Tensor::f32([1, 3, 2], vec![1.0, 2.0, f32::NAN, f32::NAN, 5.0, 6.0]).expect("sizes agree");
        let sample = Sample::of("context", &tensor, Some(&[true, false, true]), false).expect("a legal output");
        assert_eq!(sample.values.as_f32(), Some(&[1.0, 2.0, 5.0, 6.0][..]));
        assert!((sample.record.max_abs - 6.0).abs() < f64::EPSILON);
    }
}
