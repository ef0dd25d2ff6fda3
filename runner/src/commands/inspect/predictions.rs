use std::{fs, path::Path};

use anyhow::Context as _;
use serde_json::Value;

use super::report::{Report, Table, bytes, plain};

/// What says how a prediction was made.
pub(super) const RUN_FILE: &str = "run.json";

/// The largest `run.json` that is read.
const MAX_RUN_BYTES: u64 = 256 << 20;

/// The output folder of one predicted clip: what its `run.json` says, and which files there are.
pub(super) fn report(path: &Path) -> anyhow::Result<Report> {
    let file = path.join(RUN_FILE);
    let named = || format!("cannot read {}\npredict the clip again with \"egom2p run\"", file.display());
    let n_bytes = fs::metadata(&file).with_context(named)?.len();
    anyhow::ensure!(n_bytes <= MAX_RUN_BYTES, "{} bytes are too many: {}", n_bytes, named());
    let run: Value = serde_json::from_str(&fs::read_to_string(&file).with_context(named)?).with_context(named)?;
    let targets: Vec<&Value> = run["settings"]["targets"].as_array().into_iter().flatten().collect();
    let modalities: Vec<String> = targets.iter().map(|target| text(&target["modality"])).collect();
    let mut report = Report::new("run", format!("{}: predicted {}", path.display(), modalities.join(", ")));
    report.set("run", run.clone());
    describe(&run, &mut report);

    let shown = ["modality", "steps", "guidance", "temperature", "top_p", "top_k", "schedule"];
    let rows = targets.iter().map(|target| shown.iter().map(|name| text(&target[*name])).collect());
    let columns = &["target", "steps", "guidance", "temperature", "top-p", "top-k", "schedule"];
    report.tables.push(Table { columns, rows: rows.collect() });

    let engines = run["engines"].as_object().into_iter().flatten();
    let rows = engines.map(|(name, timing)| {
        vec![plain(name), text(&timing["calls"]), secs(&timing["secs"]), secs(&timing["load_secs"])]
    });
    report.tables.push(Table { columns: &["engine", "calls", "running", "loading"], rows: rows.collect() });

    let mut rows = Vec::new();
    for entry in fs::read_dir(path).with_context(named)? {
        let entry = entry.with_context(named)?;
        let size = entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        rows.push((plain(&entry.file_name().to_string_lossy()), size));
    }
    rows.sort();
    report.set("files", rows.iter().map(|(name, size)| (name.clone(), Value::from(*size))).collect());
    let rows = rows.into_iter().map(|(name, size)| vec![name, bytes(size)]);
    report.tables.push(Table { columns: &["file", "size"], rows: rows.collect() });
    Ok(report)
}

/// The facts: input, model, versions, seed, times.
fn describe(run: &Value, report: &mut Report) {
    let facts = &mut report.facts;
    let video = &run["input"]["video"];
    if let Some(file) = video["file"].as_str() {
        let (clip, start) = (text(&video["clip"]), text(&video["start_secs"]));
        let (fps, shows) = (text(&video["fps"]), text(&run["input"]["from"]));
        facts.push(format!(
            "from {shows} video {}: clip {clip}, from {start} s on, {fps} frames per second",
            plain(file)
        ));
    }
    for tokens in run["input"]["tokens"].as_array().into_iter().flatten() {
        facts.push(format!("from {} tokens {}", text(&tokens["modality"]), text(&tokens["file"])));
    }
    facts.push(format!("by a bundle of {}", text(&run["bundle"]["preset"])));
    let libraries = run["versions"]["libraries"].as_object().into_iter().flatten();
    let libraries: Vec<String> =
        libraries.map(|(name, version)| format!(", {} {}", plain(name), text(version))).collect();
    let libraries = libraries.concat();
    facts.push(format!("egom2p {}{libraries}; threads: {}", text(&run["versions"]["egom2p"]), text(&run["threads"])));
    facts.push(format!("seed: {}, chaining: {}", text(&run["settings"]["seed"]), text(&run["settings"]["chaining"])));
    let part = |name: &str| secs(&run["secs"][name]);
    let memory = run["peak_memory_bytes"].as_u64().map_or_else(|| "unknown".to_owned(), bytes);
    facts.push(format!(
        "tokenize {}, generate {}, detokenize {}; peak memory {memory}",
        part("tokenize"),
        part("generate"),
        part("detokenize")
    ));
}

/// A value as it would be read aloud.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => plain(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn secs(value: &Value) -> String {
    value.as_f64().map_or_else(|| "unknown".to_owned(), |secs| format!("{secs:.3} s"))
}
