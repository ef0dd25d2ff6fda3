//! Measurements as a table and as JSON.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::console::{failure, print, say};

/// What was measured for a preset.
pub(super) struct Report {
    preset: String,
    jobs: Vec<Job>,
}

/// One run of `egom2p run`.
pub(super) struct Job {
    name: String,
    secs: f64,
    peak_bytes: u64,
    n_tokens: usize,
    parts: Vec<Part>,
}

/// An engine, or what is done around the engines.
struct Part {
    name: String,
    secs: f64,
    /// How often it ran and how long it took to load, for an engine.
    engine: Option<(u64, f64)>,
}

impl Job {
    /// Joins what was measured from outside with what the run says of itself.
    pub(super) fn read(name: &str, secs: f64, peak_bytes: u64, path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read\nbuild egom2p again", path.display()))?;
        let run: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is no JSON\nbuild egom2p again", path.display()))?;
        let unexpected = |field: &str| failure(format_args!("{} has no {field}", path.display()), "build egom2p again");
        let number = |value: &Value, field: &str| value[field].as_f64().ok_or_else(|| unexpected(field));
        let mut parts = Vec::new();
        for (name, engine) in run["engines"].as_object().ok_or_else(|| unexpected("engines"))? {
            let calls = engine["calls"].as_u64().ok_or_else(|| unexpected("calls"))?;
            parts.push(Part {
                name: name.clone(),
                secs: number(engine, "secs")?,
                engine: Some((calls, number(engine, "load_secs")?)),
            });
        }
        let steps = run["steps"].as_array().ok_or_else(|| unexpected("steps"))?;
        let sampling: f64 = steps.iter().map(|step| number(&step["secs"], "sampling")).sum::<Result<_>>()?;
        parts.push(Part { name: "guidance and sampling".to_owned(), secs: sampling, engine: None });
        for name in ["tokenize", "generate", "detokenize"] {
            parts.push(Part { name: format!("all of {name}"), secs: number(&run["secs"], name)?, engine: None });
        }
        let n_tokens = steps.iter().filter_map(|step| step["positions"].as_array()).map(Vec::len).sum();
        Ok(Self { name: name.to_owned(), secs, peak_bytes, n_tokens, parts })
    }
}

impl Part {
    fn json(&self) -> Value {
        let (calls, load_secs) = self.engine.unzip();
        json!({ "name": self.name, "secs": self.secs, "calls": calls, "load_secs": load_secs })
    }
}

impl Report {
    pub(super) fn new(preset: &str) -> Self {
        Self { preset: preset.to_owned(), jobs: Vec::new() }
    }

    pub(super) fn add(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Prints a row per job, and below it one per part.
    pub(super) fn print(&self) {
        print(format_args!("{:<28} {:>9} {:>9} {:>10} {:>11}", self.preset, "secs", "tokens", "tokens/s", "peak"));
        for job in &self.jobs {
            let rate = job.n_tokens as f64 / job.secs;
            let peak = format!("{:.2} GB", job.peak_bytes as f64 / 1e9);
            print(format_args!("{:<28} {:>9.3} {:>9} {rate:>10.1} {peak:>11}", job.name, job.secs, job.n_tokens));
            for Part { name, secs, engine } in &job.parts {
                let engine = engine.map_or_else(String::new, |(calls, load_secs)| {
                    format!("  {calls} calls, loaded in {load_secs:.3} s")
                });
                print(format_args!("  {name:<26} {secs:>9.3}{engine}"));
            }
        }
    }

    /// Writes the numbers as JSON.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let jobs = self.jobs.iter().map(|job| {
            json!({
                "name": job.name,
                "secs": job.secs,
                "n_tokens": job.n_tokens,
                "tokens_per_sec": job.n_tokens as f64 / job.secs,
                "peak_memory_bytes": job.peak_bytes,
                "parts": job.parts.iter().map(Part::json).collect::<Vec<_>>(),
            })
        });
        let text = format!("{:#}\n", json!({ "preset": self.preset, "jobs": jobs.collect::<Vec<_>>() }));
        let partial = path.with_added_extension("partial");
        let unwritable = || format!("{} cannot be written\ncheck its folder", path.display());
        fs::write(&partial, text).with_context(unwritable)?;
        fs::rename(&partial, path).with_context(unwritable)?;
        say(format_args!("wrote {}", path.display()));
        Ok(())
    }
}
