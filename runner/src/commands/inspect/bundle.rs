use std::{collections::BTreeSet, path::Path};

use egom2p_engines::{BundleManifest, BundleVariant};

use super::{
    exported::{files, names, ranges},
    model,
    report::{Report, Table, bytes, count, plain, short},
};

/// A bundle: its engines, what they were built from, and the files that they need.
pub(super) fn report(path: &Path, digests: bool) -> anyhow::Result<Report> {
    let manifest = BundleManifest::read(path)?;
    let mut report =
        Report::new("bundle", format!("{}: bundle of {}", path.display(), model::name(manifest.preset.as_deref())));
    report.mend = "copy the bundle again, or build it again with \"egom2p build --verify EXPORTED --out BUNDLE\"";
    report.set("manifest", serde_json::to_value(&manifest)?);
    match model::line_of_json(&manifest.config) {
        Ok(line) => report.facts.push(line),
        Err(problem) => report.problems.push(problem),
    }
    let variants: Vec<(&String, &String, &BundleVariant)> = manifest
        .stages
        .iter()
        .flat_map(|(stage, variants)| variants.iter().map(move |(name, variant)| (stage, name, variant)))
        .collect();
    report.facts.push(format!(
        "{} of {}, schema {}",
        count(variants.len(), "engine"),
        count(manifest.stages.len(), "stage"),
        manifest.schema
    ));
    let libraries: BTreeSet<String> = variants
        .iter()
        .flat_map(|(_, _, variant)| &variant.libraries)
        .map(|(name, version)| format!("{} {}", plain(name), plain(version)))
        .collect();
    report.facts.push(format!("built with {}", libraries.into_iter().collect::<Vec<_>>().join(", ")));

    let rows = variants.iter().map(|(stage, name, variant)| {
        let own = variant.engine.iter().filter_map(|file| manifest.files.get(file)).map(|entry| entry.bytes);
        vec![
            plain(stage),
            plain(name),
            plain(&variant.backend),
            plain(&variant.precision),
            variant.device.to_string(),
            bytes(own.fold(0, u64::saturating_add)),
            names(&variant.weights),
            ranges(&variant.profile),
        ]
    });
    let columns = &["stage", "variant", "backend", "precision", "device", "engine", "weights", "min/opt/max"];
    report.tables.push(Table { columns, rows: rows.collect() });
    if digests {
        let rows = variants.iter().map(|(stage, name, variant)| {
            let calibration = variant.calibration_digest.as_ref().map_or_else(|| "none".to_owned(), short);
            vec![
                plain(stage),
                plain(name),
                short(&variant.key),
                short(&variant.graph_digest),
                short(&variant.weights_digest),
                calibration,
                variant.onnx.to_string(),
            ]
        });
        let columns = &["stage", "variant", "key", "graph", "weights", "calibration", "built from"];
        report.tables.push(Table { columns, rows: rows.collect() });
    }
    files(path, &manifest.files, digests, &mut report);
    Ok(report)
}
