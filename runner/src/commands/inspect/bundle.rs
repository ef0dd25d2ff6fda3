use std::{collections::BTreeSet, path::Path};

use egom2p_engine_core::{ENGINE_SUFFIX, EngineError, EngineRecord};
use egom2p_engines::{BundleManifest, BundleVariant};

use super::{
    engine::{known, options},
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
            ranges(&variant.profiles),
        ]
    });
    let columns = &["stage", "variant", "backend", "precision", "device", "engine", "weights", "min/opt/max"];
    report.tables.push(Table { columns, rows: rows.collect() });
    compiled(path, &manifest, &variants, &mut report);
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

/// The compiled engines, as far as their records tell more than the manifest.
fn compiled(
    path: &Path,
    manifest: &BundleManifest,
    variants: &[(&String, &String, &BundleVariant)],
    report: &mut Report,
) {
    let mut rows = Vec::new();
    let mut memory = serde_json::Map::new();
    for (stage, name, variant) in variants {
        let Some(engine) = variant.engine.first().filter(|file| file.as_str().ends_with(ENGINE_SUFFIX)) else {
            continue;
        };
        let record = match EngineRecord::read(&EngineRecord::path(&engine.below(path))) {
            Ok(record) => record,
            // It is missing, which is said of every file.
            Err(EngineError::Read { .. }) => continue,
            Err(error) => {
                report.problems.push(model::first_line(&error));
                continue;
            }
        };
        if manifest.files.get(engine) != Some(&record.engine) {
            report.problems.push(format!("the record of {engine} is that of another engine"));
        }
        rows.push(vec![
            plain(stage),
            plain(name),
            plain(&record.target.to_string()),
            known(record.memory.weights_bytes),
            known(record.memory.activation_bytes),
            record.layers.len().to_string(),
            record.build_secs.map_or_else(|| "elsewhere".to_owned(), |secs| format!("in {secs:.1} s")),
            options(&record.options).unwrap_or_else(|| "default".to_owned()),
        ]);
        memory.insert(format!("{stage}.{name}"), serde_json::json!(record.memory));
    }
    if rows.is_empty() {
        return;
    }
    report.set("memory", memory.into());
    let columns = &["stage", "variant", "for", "weights", "activations", "layers", "built", "options"];
    report.tables.push(Table { columns, rows });
}
