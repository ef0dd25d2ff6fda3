//! `egom2p build`: exported ONNX to a bundle of engines.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use egom2p::io::partial;
use egom2p_engine_core::{BuildReport, Device, Profile, RelativePath};
use egom2p_engines::{
    BUNDLE_MANIFEST_FILE, BackendKind, BackendOptions, BuildOptions, Builder, Progress, open_backend,
};

use crate::console;

/// The largest profile file that is read.
const MAX_PROFILE_BYTES: u64 = 1 << 20;

/// `egom2p build`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder that `egom2p export` wrote
    exported: PathBuf,
    /// The bundle to make or to bring up to date
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// What runs the engines
    #[arg(long, value_name = "NAME", default_value = "onnxruntime", value_parser = backend)]
    backend: BackendKind,
    /// Precision of the arithmetic
    #[arg(long, value_name = "NAME", default_value = "fp32")]
    precision: String,
    /// Where the engines are to run
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
    /// Only these stages [default: all that were exported]
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    stages: Option<Vec<String>>,
    /// Ranges of named dimensions as JSON: {"visible": {"min": 0, "opt": 5120, "max": 10300}}
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Calibrated ranges of activations
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Build even what has not changed
    #[arg(long)]
    force: bool,
    /// Check unchanged files against their digests, not only against size and time
    #[arg(long)]
    verify: bool,
    /// The ONNX Runtime library
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    args.refuse_what_is_not_there()?;
    let options = BuildOptions {
        device: Device::Cpu,
        stages: args.stages.clone(),
        profile: args.profile()?,
        force: args.force,
        verify: args.verify,
    };
    let backend = open_backend(args.backend, &BackendOptions { onnxruntime_library: args.onnxruntime.clone() })?;
    partial::watch(&args.out, BUNDLE_MANIFEST_FILE)?;
    let summary = Builder::new(backend.as_ref(), options).build(&args.exported, &args.out, &mut Lines)?;
    for (stage, variant) in &summary.dropped {
        console::note(format_args!("dropped {stage} {variant}"));
    }
    let shown = args.out.display();
    if summary.nothing_to_do() {
        let n = summary.unchanged.len();
        console::print(format_args!("{shown}: nothing to do, {n} engines are up to date ({:.2} s)", summary.secs));
    } else {
        let (n_built, n_unchanged) = (summary.built.len(), summary.unchanged.len());
        console::print(format_args!(
            "{shown}: {n_built} engines built, {n_unchanged} unchanged ({:.1} s)",
            summary.secs
        ));
    }
    Ok(())
}

impl Args {
    fn refuse_what_is_not_there(&self) -> anyhow::Result<()> {
        if self.precision != "fp32" {
            bail!("precision {} is not available, expected fp32\nleave --precision out", self.precision);
        }
        if self.device != "cpu" {
            bail!("device {} is not available for {}, expected cpu\nleave --device out", self.device, self.backend);
        }
        if self.calibration.is_some() {
            bail!("calibration is not used at precision fp32\nleave --calibration out");
        }
        Ok(())
    }

    fn profile(&self) -> anyhow::Result<Profile> {
        let Some(path) = &self.profile else { return Ok(Profile::default()) };
        let named = || {
            format!(
                "cannot read profile {}\nwrite JSON such as {{\"visible\": {{\"min\": 0, \"opt\": 5120, \"max\": 10300}}}}",
                path.display()
            )
        };
        let n_bytes = fs::metadata(path).with_context(named)?.len();
        anyhow::ensure!(n_bytes <= MAX_PROFILE_BYTES, named());
        serde_json::from_str(&fs::read_to_string(path).with_context(named)?).with_context(named)
    }
}

fn backend(name: &str) -> Result<BackendKind, String> {
    name.parse().map_err(|error| super::one_line(&error))
}

/// One line per engine on standard error.
struct Lines;

impl Progress for Lines {
    fn copying(&mut self, file: &RelativePath, n_bytes: u64) {
        console::note(format_args!("copying {file} ({:.1} MB)", n_bytes as f64 / 1e6));
    }

    fn finished(&mut self, stage: &str, variant: &str, secs: f64, report: &BuildReport) {
        console::note(format_args!(
            "built {stage} {variant} in {secs:.1} s ({:.1} MB own, {:.1} MB of weights shared)",
            report.own_bytes as f64 / 1e6,
            report.shared_bytes as f64 / 1e6
        ));
    }
}
