use std::path::Path;

use egom2p_model::weights::WeightsFile;
use serde_json::{Value, json};

use super::report::{Report, Table, bytes, count, plain, short};

/// One file of tensors; only its header is read, unless digests are asked for.
pub(super) fn report(path: &Path, digests: bool) -> anyhow::Result<Report> {
    let file = WeightsFile::open(path)?;
    let mut rows = Vec::new();
    let mut tensors = Vec::new();
    for name in file.names() {
        let (dtype, shape, n_bytes) = (file.dtype(name)?, file.shape(name)?, file.tensor_bytes(name)?);
        let digest = if digests { Some(file.tensor_digest(name)?) } else { None };
        let mut row = vec![plain(name), dtype.to_string().to_lowercase(), format!("{shape:?}"), bytes(n_bytes)];
        row.extend(digest.as_ref().map(short));
        rows.push(row);
        let mut tensor = json!({
            "name": name,
            "dtype": dtype.to_string().to_lowercase(),
            "shape": shape,
            "bytes": n_bytes,
        });
        if let Some(digest) = digest {
            tensor["blake3"] = json!(digest);
        }
        tensors.push(tensor);
    }
    let headline = format!("{}: {}, {}", path.display(), count(rows.len(), "tensor"), bytes(file.file_bytes()));
    let mut report = Report::new("safetensors", headline);
    report.set("bytes", json!(file.file_bytes()));
    if digests {
        let digest = file.digest()?;
        report.facts.push(format!("blake3: {digest}"));
        report.set("blake3", json!(digest));
    }
    report.set("tensors", Value::Array(tensors));
    let columns: &[&str] = &["tensor", "type", "shape", "size", "blake3"];
    report.tables.push(Table { columns: &columns[..if digests { 5 } else { 4 }], rows });
    Ok(report)
}
