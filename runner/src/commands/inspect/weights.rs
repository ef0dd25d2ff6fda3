use std::{collections::BTreeSet, path::Path};

use egom2p::weights_check::check_weights;
use egom2p_model::{
    Stage, WeightsFolder,
    weights::{WeightsFile, WeightsPart},
};
use serde_json::{Value, json};

use super::{
    model,
    report::{Report, Table, bytes, short},
};

/// A weights folder: its model, and what each part holds.
pub(super) fn report(path: &Path, digests: bool) -> anyhow::Result<Report> {
    let folder = WeightsFolder::open(path)?;
    let preset = model::preset(folder.config());
    let mut report = Report::new("weights", format!("{}: weights of {}", path.display(), model::name(preset)));
    report.mend = "import the checkpoint again with \"egom2p import\", or copy the folder again";
    report.set("preset", json!(preset));
    report.set("config", serde_json::to_value(folder.config())?);
    report.facts.push(model::line(folder.config()));

    let present: Vec<WeightsPart> = folder.parts().collect();
    let mut rows = Vec::new();
    let mut parts = serde_json::Map::new();
    for part in &present {
        let part = *part;
        let file = match folder.part(part) {
            Ok(file) => file,
            Err(error) => {
                report.problems.push(model::first_line(&error));
                continue;
            }
        };
        if let Err(error) = check_weights(&file, folder.config(), part) {
            report.problems.push(model::first_line(&error));
        }
        let digest = if digests { Some(file.digest()?) } else { None };
        let n_values = n_values(&file)?;
        let stages = stages(part);
        let mut row = vec![
            part.file_name().to_owned(),
            file.names().len().to_string(),
            format!("{:.1} M", n_values as f64 / 1e6),
            dtypes(&file)?.into_iter().collect::<Vec<_>>().join(", "),
            bytes(file.file_bytes()),
            stages.join(", "),
        ];
        row.extend(digest.as_ref().map(short));
        rows.push(row);
        let mut entry = json!({
            "tensors": file.names().len(),
            "values": n_values,
            "dtypes": dtypes(&file)?,
            "bytes": file.file_bytes(),
            "stages": stages,
        });
        if let Some(digest) = digest {
            entry["blake3"] = json!(digest);
        }
        parts.insert(part.file_name().to_owned(), entry);
    }
    report.set("parts", Value::Object(parts));
    let columns: &[&str] = &["file", "tensors", "values", "type", "size", "stages", "blake3"];
    report.tables.push(Table { columns: &columns[..if digests { 7 } else { 6 }], rows });
    for part in WeightsPart::ALL.into_iter().filter(|part| !present.contains(part)) {
        report.facts.push(format!("not there: {}, so no {}", part.file_name(), stages(part).join(", ")));
    }
    Ok(report)
}

/// The stages that read a part.
fn stages(part: WeightsPart) -> Vec<&'static str> {
    Stage::ALL.into_iter().filter(|stage| stage.weights_file() == part).map(Stage::name).collect()
}

fn n_values(file: &WeightsFile) -> anyhow::Result<usize> {
    let sizes = file.names().iter().map(|name| Ok(file.shape(name)?.iter().product::<usize>()));
    sizes.sum()
}

fn dtypes(file: &WeightsFile) -> anyhow::Result<BTreeSet<String>> {
    file.names().iter().map(|name| Ok(file.dtype(name)?.to_string().to_lowercase())).collect()
}
