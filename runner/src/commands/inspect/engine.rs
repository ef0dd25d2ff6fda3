use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::bail;
use egom2p_engine_core::{
    CompileOptions, ENGINE_RECORD_SUFFIX, ENGINE_SUFFIX, EngineRecord, EngineWeights, HardwareCompatibility,
    LayerRecord, TensorSpec,
};
use egom2p_engines::digest_file;
use serde_json::json;

use super::{
    exported::profile_ranges,
    model,
    report::{Report, Table, bytes, count, plain, short},
};

/// How many kinds of layers a line names.
const SHOWN_KINDS: usize = 12;

/// The engine that a record's file name belongs to.
pub(super) fn of_record(path: &Path) -> Option<PathBuf> {
    let engine = path.to_str()?.strip_suffix(ENGINE_RECORD_SUFFIX)?;
    engine.ends_with(ENGINE_SUFFIX).then(|| engine.into())
}

/// A compiled engine: what its record says, and whether the engine is the one that the record is about.
pub(super) fn report(engine: &Path, digests: bool) -> anyhow::Result<Report> {
    let shown = engine.display();
    let path = EngineRecord::path(engine);
    if !path.exists() {
        bail!(
            "{shown} has no record {}: without it, only its library and device can tell what it is\n\
             take it into a bundle, where that is: \"egom2p build EXPORTED --out BUNDLE --backend tensorrt --engine STAGE.VARIANT={shown}\"",
            path.display()
        );
    }
    let record = EngineRecord::read(&path)?;
    let headline = format!(
        "{shown}: engine of {} {}, {}",
        plain(&record.backend),
        plain(&record.library),
        bytes(record.engine.bytes)
    );
    let mut report = Report::new("engine", headline);
    report.mend = "copy the engine and its record again, or build it again with \"egom2p build --force\"";
    report.set("record", serde_json::to_value(&record)?);
    report.facts.push(format!("for {}", plain(&record.target.to_string())));
    report.facts.extend(options(&record.options).map(|options| format!("compiled with {options}")));
    for (what, tensors) in [("input", &record.inputs), ("output", &record.outputs)] {
        report.facts.extend(tensors.iter().map(|tensor| format!("{what} {}", typed(tensor))));
    }
    let profiles = record.profiles.iter().enumerate();
    report.facts.extend(profiles.map(|(at, profile)| format!("profile {}: {}", at + 1, profile_ranges(profile))));
    report.facts.push(format!(
        "device memory: weights {}, activations {}",
        known(record.memory.weights_bytes),
        known(record.memory.activation_bytes)
    ));
    report.facts.push(provenance(&record));
    describe_layers(&record.layers, &mut report);
    let state = check(engine, &record, digests);
    report.set("file", json!(state.as_ref().err().map_or(if digests { "verified" } else { "present" }, |it| it)));
    report.problems.extend(state.err().map(|problem| format!("the engine {problem}")));
    Ok(report)
}

/// What differs from the compiler's defaults, if anything does.
pub(super) fn options(options: &CompileOptions) -> Option<String> {
    // The target says which devices it is for.
    let CompileOptions {
        compute_capabilities: _,
        optimization_level,
        workspace_bytes,
        tf32,
        version_compatible,
        hardware_compatibility,
        weights,
    } = options;
    let mut parts = Vec::new();
    parts.extend(optimization_level.map(|level| format!("optimization level {level}")));
    parts.extend(workspace_bytes.map(|n_bytes| format!("workspace {}", bytes(n_bytes))));
    parts.extend(tf32.then(|| "tf32".to_owned()));
    parts.extend(version_compatible.then(|| "version compatible".to_owned()));
    parts.extend(hardware_compatibility.map(|compatibility| {
        match compatibility {
            HardwareCompatibility::AmperePlus => "for GPUs of 8.0 and later",
            HardwareCompatibility::SameComputeCapability => "for GPUs of the same compute capability",
        }
        .to_owned()
    }));
    match weights {
        EngineWeights::Embedded => {}
        EngineWeights::Refittable => parts.push("refittable weights".to_owned()),
        EngineWeights::Stripped => parts.push("no weights".to_owned()),
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A size where it is known.
pub(super) fn known(n_bytes: Option<u64>) -> String {
    n_bytes.map_or_else(|| "unknown".to_owned(), bytes)
}

fn typed(tensor: &TensorSpec) -> String {
    plain(&tensor.to_string())
}

/// Where and how it was made.
fn provenance(record: &EngineRecord) -> String {
    let mut parts = Vec::new();
    parts.extend(record.build_secs.map(|secs| format!("built in {secs:.1} s")));
    parts.extend(record.build_peak_bytes.map(|n_bytes| format!("peak memory {}", bytes(n_bytes))));
    parts.push(match &record.onnx {
        Some(digest) => format!("from the ONNX file {}", short(digest)),
        None => "built elsewhere".to_owned(),
    });
    parts.join(", ")
}

/// The layers: how many of which kind and element type, and each.
fn describe_layers(layers: &[LayerRecord], report: &mut Report) {
    if layers.is_empty() {
        report.facts.push("layers: the library did not tell".to_owned());
        return;
    }
    let kinds = frequencies(layers.iter().map(|layer| layer.kind.as_str()));
    let dtypes = frequencies(layers.iter().flat_map(|layer| layer.outputs.iter().map(|output| output.dtype.as_str())));
    report.facts.push(format!("{}: {}", count(layers.len(), "layer"), most_frequent(&kinds)));
    report.facts.push(format!("what they give: {}", most_frequent(&dtypes)));
    report.set("layer_kinds", json!(kinds));
    report.set("layer_dtypes", json!(dtypes));
    let row = |layer: &LayerRecord| {
        let dtypes = layer.outputs.iter().map(|output| plain(&output.dtype)).collect::<Vec<_>>();
        vec![plain(&layer.name), plain(&layer.kind), dtypes.join(", "), plain(&layer.tactic)]
    };
    let columns = &["layer", "kind", "gives", "tactic"];
    report.tables.push(Table { columns, rows: layers.iter().map(row).collect() });
}

fn frequencies<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn most_frequent(counts: &BTreeMap<&str, usize>) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut listed: Vec<String> =
        sorted.iter().take(SHOWN_KINDS).map(|(name, count)| format!("{count} {}", plain(name))).collect();
    if sorted.len() > SHOWN_KINDS {
        listed.push(format!("{} kinds more", sorted.len() - SHOWN_KINDS));
    }
    listed.join(", ")
}

/// Compares the engine with its record: its size, and with `digests` its content.
fn check(engine: &Path, record: &EngineRecord, digests: bool) -> Result<(), String> {
    let metadata = fs::metadata(engine).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let expected = record.engine;
    if metadata.len() != expected.bytes {
        return Err(format!("has {} bytes, its record says {}", metadata.len(), expected.bytes));
    }
    if digests {
        let (got, _) = digest_file(engine).map_err(|error| model::first_line(&error))?;
        if got != expected.blake3 {
            return Err(format!("has changed: its record says digest {}, got {got}", expected.blake3));
        }
    }
    Ok(())
}
