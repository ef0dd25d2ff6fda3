use crate::{DType, Data, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Smallest magnitude that relative errors are taken of: errors on smaller elements count as if the element were this.
const RELATIVE_FLOOR: f64 = 1e-6;

/// How far two sets of named tensors are apart, the worst tensor first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The tolerance that was applied.
    pub tolerance: Tolerance,
    /// Tensors that stand on both sides, the worst first.
    pub outputs: Vec<OutputComparison>,
    /// Names that only the actual side has.
    pub only_actual: Vec<String>,
    /// Names that only the reference has.
    pub only_reference: Vec<String>,
}

/// How far floats may be apart: `|actual - reference| <= abs + rel * |reference|`. Integers and truth values must agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Absolute part.
    pub abs: f64,
    /// Part relative to the reference.
    pub rel: f64,
}

/// How far two tensors of one name are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputComparison {
    /// Name of the tensor.
    pub name: String,
    /// Whether every element is within the tolerance.
    pub passed: bool,
    /// Why the tensors cannot be compared element by element, if they cannot.
    pub incomparable: Option<String>,
    /// Element type.
    pub dtype: DType,
    /// Shape.
    pub shape: Vec<usize>,
    /// Elements outside of the tolerance.
    pub n_outside: usize,
    /// Elements of which only one side is NaN, or that are unequal infinities. They are outside of every tolerance and
    /// are left out of the statistics.
    pub n_non_finite: usize,
    /// Absolute errors; `None` if there is nothing to compare.
    pub abs: Option<ErrorStats>,
    /// Errors relative to the reference.
    pub rel: Option<ErrorStats>,
    /// The smallest absolute tolerance that would pass with the relative tolerance kept; `None` if none would.
    pub passing_abs: Option<f64>,
    /// The smallest relative tolerance that would pass with the absolute tolerance kept; `None` if none would.
    pub passing_rel: Option<f64>,
    /// The element that is furthest off.
    pub worst: Option<WorstElement>,
    /// Largest magnitude in the reference.
    pub reference_max: f64,
}

/// Statistics over the errors of a tensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorStats {
    /// Largest error.
    pub max: f64,
    /// Mean error.
    pub mean: f64,
    /// Half of the errors are at most this.
    pub median: f64,
    /// 90 % of the errors are at most this.
    pub p90: f64,
    /// 99 % of the errors are at most this.
    pub p99: f64,
}

/// One element on both sides, in text because either may be NaN, infinite, an integer or a truth value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorstElement {
    /// Its index on every axis.
    pub index: Vec<usize>,
    /// The actual element.
    pub actual: String,
    /// The reference.
    pub reference: String,
}

impl Comparison {
    /// Compares tensors by name.
    pub fn new(actual: &[(String, Tensor)], reference: &[(String, Tensor)], tolerance: Tolerance) -> Self {
        let mut outputs: Vec<OutputComparison> = reference
            .iter()
            .filter_map(|(name, reference)| {
                let (_, actual) = actual.iter().find(|(other, _)| other == name)?;
                Some(OutputComparison::new(name, actual, reference, tolerance))
            })
            .collect();
        outputs.sort_by(|a, b| a.passed.cmp(&b.passed).then(b.severity().total_cmp(&a.severity())));
        Self { tolerance, outputs, only_actual: missing(actual, reference), only_reference: missing(reference, actual) }
    }

    /// Whether every tensor stands on both sides and is within the tolerance. Comparing nothing does not pass.
    pub fn passed(&self) -> bool {
        !self.outputs.is_empty()
            && self.only_actual.is_empty()
            && self.only_reference.is_empty()
            && self.outputs.iter().all(|output| output.passed)
    }
}

impl OutputComparison {
    fn new(name: &str, actual: &Tensor, reference: &Tensor, tolerance: Tolerance) -> Self {
        let mut output = Self {
            name: name.to_owned(),
            passed: false,
            incomparable: None,
            dtype: reference.dtype(),
            shape: reference.shape().to_vec(),
            n_outside: 0,
            n_non_finite: 0,
            abs: None,
            rel: None,
            passing_abs: None,
            passing_rel: None,
            worst: None,
            reference_max: 0.0,
        };
        if actual.shape() != reference.shape() {
            output.incomparable = Some(format!("shape: expected {:?}, got {:?}", reference.shape(), actual.shape()));
            return output;
        }
        match (actual.data(), reference.data()) {
            (Data::F32(a), Data::F32(r)) => {
                output.compare(a.iter().zip(r).map(|(a, r)| (f64::from(*a), f64::from(*r))), tolerance);
            }
            // Neighbouring integers beyond 2^53 look equal as f64, so equality is asked of the integers themselves.
            (Data::I64(a), Data::I64(r)) => {
                let exact = Tolerance { abs: 0.0, rel: 0.0 };
                output.compare(
                    a.iter().zip(r).map(|(a, r)| if a == r { (0.0, 0.0) } else { (*a as f64, *r as f64) }),
                    exact,
                );
                output.n_outside = a.iter().zip(r).filter(|(a, r)| a != r).count();
            }
            (Data::Bool(a), Data::Bool(r)) => output.compare(
                a.iter().zip(r).map(|(a, r)| (f64::from(u8::from(*a)), f64::from(u8::from(*r)))),
                Tolerance { abs: 0.0, rel: 0.0 },
            ),
            (Data::F32(_) | Data::I64(_) | Data::Bool(_), _) => {
                output.incomparable =
                    Some(format!("element type: expected {}, got {}", reference.dtype(), actual.dtype()));
                return output;
            }
        }
        output.passed = output.n_outside == 0;
        if let Some(worst) = &mut output.worst {
            let flat = flat_index(&worst.index, &output.shape);
            worst.actual = element(actual, flat);
            worst.reference = element(reference, flat);
        }
        output
    }

    fn compare(&mut self, pairs: impl ExactSizeIterator<Item = (f64, f64)>, tolerance: Tolerance) {
        let mut abs_errors = Vec::with_capacity(pairs.len());
        let mut rel_errors = Vec::with_capacity(pairs.len());
        let (mut passing_abs, mut passing_rel) = (0.0_f64, 0.0_f64);
        let mut worst: Option<(usize, f64)> = None;
        let (mut abs_sum, mut rel_sum) = (0.0, 0.0);
        for (i, (a, r)) in pairs.enumerate() {
            #[allow(clippy::float_cmp, reason = "equal infinities have no difference, and equal numbers need none")]
            let same = a == r || (a.is_nan() && r.is_nan());
            let error = if same { 0.0 } else { (a - r).abs() };
            if !error.is_finite() {
                self.n_non_finite += 1;
                self.n_outside += 1;
                if worst.is_none_or(|(_, error)| error.is_finite()) {
                    worst = Some((i, f64::INFINITY));
                }
                continue;
            }
            let magnitude = if r.is_finite() { r.abs() } else { 0.0 };
            let relative = error / magnitude.max(RELATIVE_FLOOR);
            self.reference_max = self.reference_max.max(magnitude);
            self.n_outside += usize::from(error > tolerance.abs + tolerance.rel * magnitude);
            passing_abs = passing_abs.max(error - tolerance.rel * magnitude);
            if error > tolerance.abs {
                passing_rel = passing_rel.max((error - tolerance.abs) / magnitude);
            }
            if worst.is_none_or(|(_, so_far)| error > so_far) {
                worst = Some((i, error));
            }
            abs_sum += error;
            rel_sum += relative;
            abs_errors.push(error as f32);
            rel_errors.push(relative as f32);
        }
        self.abs = ErrorStats::new(&mut abs_errors, abs_sum);
        self.rel = ErrorStats::new(&mut rel_errors, rel_sum);
        let any_passes = self.n_non_finite == 0;
        self.passing_abs = any_passes.then_some(passing_abs);
        self.passing_rel = (any_passes && passing_rel.is_finite()).then_some(passing_rel);
        self.worst = worst.map(|(i, _)| WorstElement {
            index: unravel(i, &self.shape),
            actual: String::new(),
            reference: String::new(),
        });
    }

    /// What the order of tensors follows: the largest error as a part of the largest magnitude.
    fn severity(&self) -> f64 {
        if self.incomparable.is_some() || self.n_non_finite > 0 {
            return f64::INFINITY;
        }
        self.abs.map_or(0.0, |abs| abs.max / self.reference_max.max(RELATIVE_FLOOR))
    }
}

impl ErrorStats {
    /// Statistics of errors whose sum is known; `None` if there are none. The order of `errors` is lost.
    fn new(errors: &mut [f32], sum: f64) -> Option<Self> {
        let n = errors.len();
        let mut quantile = |part: f64| {
            let rank = ((n as f64 * part).ceil() as usize).clamp(1, n) - 1;
            f64::from(*errors.select_nth_unstable_by(rank, f32::total_cmp).1)
        };
        (n > 0).then(|| Self {
            max: quantile(1.0),
            mean: sum / n as f64,
            median: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
        })
    }
}

/// A table with one row per tensor, and one line per name that stands on one side only.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            [
                "",
                "tensor",
                "shape",
                "max abs",
                "mean",
                "median",
                "p99",
                "max rel",
                "passing abs",
                "passing rel",
                "worst at",
            ]
            .map(str::to_owned),
        ];
        rows.extend(self.outputs.iter().map(OutputComparison::row));
        let widths: Vec<usize> =
            (0..rows[0].len()).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        for name in &self.only_reference {
            writeln!(f, "FAIL  {name}: missing, only the reference has it")?;
        }
        for name in &self.only_actual {
            writeln!(f, "FAIL  {name}: not expected, the reference lacks it")?;
        }
        let verdict = if self.passed() { "passed" } else { "failed" };
        write!(f, "{verdict} with abs {:.1e}, rel {:.1e}", self.tolerance.abs, self.tolerance.rel)
    }
}

impl OutputComparison {
    fn row(&self) -> [String; 11] {
        let stat = |stats: Option<ErrorStats>, pick: fn(ErrorStats) -> f64| number(stats.map(pick));
        let worst = match (&self.incomparable, &self.worst) {
            (Some(why), _) => why.clone(),
            (None, Some(worst)) => {
                let non_finite =
                    if self.n_non_finite > 0 { format!(", {} not finite", self.n_non_finite) } else { String::new() };
                format!(
                    "{:?}: {} for {} ({} outside{non_finite})",
                    worst.index, worst.actual, worst.reference, self.n_outside
                )
            }
            (None, None) => "no elements".to_owned(),
        };
        [
            if self.passed { "ok" } else { "FAIL" }.to_owned(),
            self.name.clone(),
            format!("{} {:?}", self.dtype, self.shape),
            stat(self.abs, |s| s.max),
            stat(self.abs, |s| s.mean),
            stat(self.abs, |s| s.median),
            stat(self.abs, |s| s.p99),
            stat(self.rel, |s| s.max),
            number(self.passing_abs),
            number(self.passing_rel),
            worst,
        ]
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| if value == 0.0 { "0".to_owned() } else { format!("{value:.2e}") })
}

fn missing(these: &[(String, Tensor)], those: &[(String, Tensor)]) -> Vec<String> {
    these
        .iter()
        .filter(|(name, _)| !those.iter().any(|(other, _)| other == name))
        .map(|(name, _)| name.clone())
        .collect()
}

fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|length| {
            let i = flat % length;
            flat /= length;
            i
        })
        .collect();
    index.reverse();
    index
}

fn flat_index(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (i, length)| flat * length + i)
}

fn element(tensor: &Tensor, flat: usize) -> String {
    match tensor.data() {
        Data::F32(data) => data[flat].to_string(),
        Data::I64(data) => data[flat].to_string(),
        Data::Bool(data) => data[flat].to_string(),
    }
}
