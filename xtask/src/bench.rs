//! Latency, tokens per second and peak memory, per stage and end to end.

mod measure;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use self::{
    measure::Measured,
    report::{Job, Report},
};
use crate::{build_engines, demo, process, program::Programs, setup, workspace::Workspace};

/// Measure latency, tokens per second and peak memory of `egom2p run`.
///
/// The weights follow from a rule: what they compute means nothing, and costs the same as trained ones. Weights and
/// engines are kept in `cache/bench`, so that the next run only measures.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The model's size.
    #[arg(long, default_value = "egom2p-base")]
    preset: String,
    /// The targets, measured one by one from the same RGB tokens.
    #[arg(long, value_delimiter = ',', default_value = "camera,gaze,depth")]
    to: Vec<String>,
    /// Threads of the engines and the sampler [default: the machine's cores]
    #[arg(long)]
    threads: Option<u16>,
    /// Also write the numbers as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Prepares what is missing, measures, and prints a table.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    setup::plain(workspace)?;
    let programs = Programs::build(workspace)?;
    let folder = workspace.cache().join("bench").join(&arguments.preset);
    let [weights, bundle, sample] = ["weights", "bundle", "sample.mkv"].map(|name| folder.join(name));
    if weights.exists() && !has_sizes_of(&arguments.preset, &programs, &weights)? {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("{} cannot be removed\ncheck its permissions", folder.display()))?;
    }
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made\ncheck its permissions", folder.display()))?;
    if !weights.join("config.json").is_file() {
        let partial = folder.join("weights.partial");
        let mut command = programs.egom2p();
        process::run(command.args(["weights", "reproducible", "--preset", &arguments.preset, "--out"]).arg(&partial))?;
        fs::rename(&partial, &weights)
            .with_context(|| format!("{} cannot be made\nremove what is there", weights.display()))?;
    }
    build_engines::chain(&programs, &build_engines::Arguments::plain(&weights, &bundle))?;
    if !sample.is_file() {
        demo::write_sample(workspace, &programs, &sample)?;
    }

    let mut report = Report::new(&arguments.preset);
    let out = folder.join("video");
    let mut command = run_command(&programs, &bundle, arguments, &out);
    command.arg("--input").arg(&sample).args(["--to", &arguments.to.join(",")]);
    report.add(job("video to all targets", &mut command, &out)?);
    let tokens = out.join("tokens.safetensors");
    for target in &arguments.to {
        let out = folder.join(target);
        let mut command = run_command(&programs, &bundle, arguments, &out);
        command.arg("--tokens").arg(format!("rgb={}", tokens.display())).args(["--to", target]);
        report.add(job(&format!("rgb tokens to {target}"), &mut command, &out)?);
    }
    report.print();
    arguments.json.as_deref().map_or(Ok(()), |path| report.write(path))
}

/// Whether kept weights are of a preset as it is now.
fn has_sizes_of(preset: &str, programs: &Programs, weights: &Path) -> Result<bool> {
    let inspected = process::output(programs.egom2p().args(["inspect", "--json"]).arg(weights))?;
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap_or_default();
    Ok(inspected["preset"] == preset)
}

fn run_command(programs: &Programs, bundle: &Path, arguments: &Arguments, out: &Path) -> Command {
    let mut command = programs.egom2p();
    command.arg("run").arg(bundle).arg("--out").arg(out);
    if let Some(threads) = arguments.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    command
}

fn job(name: &str, command: &mut Command, out: &Path) -> Result<Job> {
    let Measured { secs, peak_bytes } = measure::run(command)?;
    Job::read(name, secs, peak_bytes, &out.join("run.json"))
}
