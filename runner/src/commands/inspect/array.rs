use std::path::Path;

use egom2p::io::{Array, ArrayData, NPZ_MEMBER, read_npy, read_npz};
use serde_json::json;

use super::report::Report;

/// One array of NumPy: its type, shape and range.
pub(super) fn report(path: &Path) -> anyhow::Result<Report> {
    let is_archive = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
    let array = if is_archive { read_npz(path, NPZ_MEMBER)? } else { read_npy(path)? };
    let dtype = match &array.data {
        ArrayData::F32(_) => "f32",
        ArrayData::F64(_) => "f64",
        ArrayData::I32(_) => "i32",
        ArrayData::I64(_) => "i64",
        ArrayData::U8(_) => "u8",
    };
    let member = if is_archive { format!("{NPZ_MEMBER} ") } else { String::new() };
    let headline = format!("{}: {member}{dtype} {:?}", path.display(), array.shape);
    let mut report = Report::new(if is_archive { "npz" } else { "npy" }, headline);
    report.set("dtype", json!(dtype));
    report.set("shape", json!(array.shape));
    let values = values(&array);
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let n_finite = finite.clone().count();
    if n_finite < values.len() {
        report.facts.push(format!("{} of {} values are not finite", values.len() - n_finite, values.len()));
    }
    report.set("n_not_finite", json!(values.len() - n_finite));
    if n_finite > 0 {
        let (min, max) =
            (finite.clone().fold(f64::INFINITY, f64::min), finite.clone().fold(f64::NEG_INFINITY, f64::max));
        let mean = finite.sum::<f64>() / n_finite as f64;
        report.facts.push(format!("min {min}, mean {mean}, max {max}"));
        report.set("min", json!(min));
        report.set("mean", json!(mean));
        report.set("max", json!(max));
    }
    Ok(report)
}

/// The values as floats, for statistics.
fn values(array: &Array) -> Vec<f64> {
    match &array.data {
        ArrayData::F32(values) => values.iter().copied().map(f64::from).collect(),
        ArrayData::F64(values) => values.clone(),
        ArrayData::I32(values) => values.iter().copied().map(f64::from).collect(),
        ArrayData::I64(values) => values.iter().map(|&value| value as f64).collect(),
        ArrayData::U8(values) => values.iter().copied().map(f64::from).collect(),
    }
}
