use std::{collections::BTreeMap, path::Path};

use egom2p_engine_core::{ExportManifest, FileEntry, Profile, RelativePath};
use egom2p_engines::digest_file;
use serde_json::json;

use super::{
    model,
    report::{Report, Table, bytes, count, plain, short},
};

/// An exported folder: its stages, and the files that they need.
pub(super) fn report(path: &Path, digests: bool) -> anyhow::Result<Report> {
    let manifest = ExportManifest::read(path)?;
    let headline = format!("{}: exported ONNX of {}", path.display(), model::name(manifest.preset.as_deref()));
    let mut report = Report::new("exported", headline);
    report.mend = "re-export with \"egom2p export\", or copy the folder again";
    report.set("manifest", serde_json::to_value(&manifest)?);
    match model::line_of_json(&manifest.config) {
        Ok(line) => report.facts.push(line),
        Err(problem) => report.problems.push(problem),
    }
    report.facts.push(format!("for {}", plain(&manifest.target)));
    let n_variants: usize = manifest.stages.values().map(Vec::len).sum();
    report.facts.push(format!(
        "{} of {}, schema {}",
        count(n_variants, "ONNX file"),
        count(manifest.stages.len(), "stage"),
        manifest.schema
    ));

    let variants =
        manifest.stages.iter().flat_map(|(stage, variants)| variants.iter().map(move |variant| (stage, variant)));
    let rows = variants.clone().map(|(stage, variant)| {
        vec![
            stage.clone(),
            variant.name.clone(),
            variant.precision.clone(),
            file_size(&manifest.files, &variant.onnx),
            names(&variant.weights),
            ranges(&variant.profiles),
        ]
    });
    let columns = &["stage", "variant", "precision", "onnx", "weights", "min/opt/max"];
    report.tables.push(Table { columns, rows: rows.collect() });
    if digests {
        let rows = variants.map(|(stage, variant)| {
            let calibration = variant.calibration_digest.as_ref().map_or_else(|| "none".to_owned(), short);
            vec![
                stage.clone(),
                variant.name.clone(),
                short(&variant.graph_digest),
                short(&variant.weights_digest),
                calibration,
            ]
        });
        let columns = &["stage", "variant", "graph", "weights", "calibration"];
        report.tables.push(Table { columns, rows: rows.collect() });
    }
    files(path, &manifest.files, digests, &mut report);
    Ok(report)
}

/// Checks the files of a manifest; with `digests` also what is in them, and then lists them.
pub(super) fn files(root: &Path, files: &BTreeMap<RelativePath, FileEntry>, digests: bool, report: &mut Report) {
    let total: u64 = files.values().fold(0, |total, entry| total.saturating_add(entry.bytes));
    report.facts.push(format!("{}, {}", count(files.len(), "file"), bytes(total)));
    let mut rows = Vec::new();
    let mut states = serde_json::Map::new();
    for (file, entry) in files {
        let state = state(root, file, entry, digests);
        if let Err(problem) = &state {
            report.problems.push(format!("{file} {problem}"));
        }
        let state = state.err().unwrap_or_else(|| if digests { "verified" } else { "present" }.to_owned());
        rows.push(vec![file.to_string(), bytes(entry.bytes), short(&entry.blake3), state.clone()]);
        states.insert(file.to_string(), json!(state));
    }
    report.set("files", states.into());
    if digests {
        report.tables.push(Table { columns: &["file", "size", "blake3", "state"], rows });
    }
}

/// The size of a listed file.
pub(super) fn file_size(files: &BTreeMap<RelativePath, FileEntry>, file: &RelativePath) -> String {
    files.get(file).map_or_else(|| "?".to_owned(), |entry| bytes(entry.bytes))
}

/// The last parts of paths.
pub(super) fn names(files: &[RelativePath]) -> String {
    files.iter().map(RelativePath::file_name).collect::<Vec<_>>().join(", ")
}

/// The ranges of several profiles.
pub(super) fn ranges(profiles: &[Profile]) -> String {
    profiles.iter().map(profile_ranges).collect::<Vec<_>>().join(" or ")
}

/// Ranges of named dimensions: a number where they are fixed, else min/opt/max.
pub(super) fn profile_ranges(profile: &Profile) -> String {
    let range = |(name, range): (&String, &egom2p_engine_core::DimRange)| {
        let name = plain(name);
        if range.min == range.max {
            format!("{name} {}", range.opt)
        } else {
            format!("{name} {}/{}/{}", range.min, range.opt, range.max)
        }
    };
    profile.dims.iter().map(range).collect::<Vec<_>>().join(", ")
}

fn state(root: &Path, file: &RelativePath, entry: &FileEntry, digests: bool) -> Result<(), String> {
    let path = file.below(root);
    let (Ok(root), Ok(real)) = (root.canonicalize(), path.canonicalize()) else {
        return Err("is missing".to_owned());
    };
    if !real.starts_with(root) {
        return Err("is a link that leads out of the folder".to_owned());
    }
    let metadata = real.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if metadata.len() != entry.bytes {
        return Err(format!("has {} bytes, expected {}", metadata.len(), entry.bytes));
    }
    if digests {
        let (got, _) = digest_file(&real).map_err(|error| model::first_line(&error))?;
        if got != entry.blake3 {
            return Err(format!("has changed: expected digest {}, got {got}", entry.blake3));
        }
    }
    Ok(())
}
