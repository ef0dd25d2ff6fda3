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
    /// Wall time per part in the order of first use.
    parts: Vec<(String, f64)>,
}

impl Job {
    /// Joins what was measured from outside with what the run says of itself.
    pub(super) fn read(name: &str, secs: f64, peak_bytes: u64, path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read\nbuild egom2p again", path.display()))?;
        let run: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is no JSON\nbuild egom2p again", path.display()))?;
        let unexpected = |field: &str| failure(format_args!("{} has no {field}", path.display()), "build egom2p again");
        let mut parts: Vec<(String, f64)> = Vec::new();
        let mut n_tokens = 0;
        for step in run["steps"].as_array().ok_or_else(|| unexpected("steps"))? {
            n_tokens += step["positions"].as_array().ok_or_else(|| unexpected("positions of a step"))?.len();
            for (part, secs) in step["secs"].as_object().ok_or_else(|| unexpected("secs of a step"))? {
                add(&mut parts, part, secs.as_f64().ok_or_else(|| unexpected("secs of a step"))?);
            }
        }
        for (part, secs) in run["secs"].as_object().ok_or_else(|| unexpected("secs"))? {
            add(&mut parts, part, secs.as_f64().ok_or_else(|| unexpected("secs"))?);
        }
        Ok(Self { name: name.to_owned(), secs, peak_bytes, n_tokens, parts })
    }
}

fn add(parts: &mut Vec<(String, f64)>, name: &str, secs: f64) {
    match parts.iter_mut().find(|(known, _)| known == name) {
        Some((_, sum)) => *sum += secs,
        None => parts.push((name.to_owned(), secs)),
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
            for (part, secs) in &job.parts {
                print(format_args!("  {part:<26} {secs:>9.3}"));
            }
        }
    }

    /// Writes the numbers as JSON.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let jobs = self.jobs.iter().map(|job| {
            let parts: serde_json::Map<String, Value> =
                job.parts.iter().map(|(name, secs)| (name.clone(), json!(secs))).collect();
            json!({
                "name": job.name,
                "secs": job.secs,
                "n_tokens": job.n_tokens,
                "tokens_per_sec": job.n_tokens as f64 / job.secs,
                "peak_memory_bytes": job.peak_bytes,
                "parts_secs": parts,
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
