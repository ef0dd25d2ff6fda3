//! `egom2p build`: exported ONNX to a bundle of engines.

mod adopted;
mod compiled;
mod precision;
mod profile_file;
mod progress;
mod size;

use std::path::PathBuf;

use anyhow::bail;
use egom2p::io::partial;
use egom2p_calibration::Precision;
use egom2p_engine_core::Device;
use egom2p_engines::{
    BUNDLE_MANIFEST_FILE, BackendKind, BackendOptions, BuildOptions, BuildSummary, Builder, BuiltVariant,
    ProfileOverrides, open_backend,
};

use self::{compiled::CompiledArgs, profile_file::ProfileFile, progress::BuildProgress};
use crate::{
    console,
    quantity::{bytes, count},
    table::Table,
};

/// `egom2p build`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder that `egom2p export` wrote
    exported: PathBuf,
    /// The bundle to make or to bring up to date
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// What runs the engines: onnxruntime, tensorrt or tensorrt-rtx
    #[arg(long, value_name = "NAME", default_value = "onnxruntime", value_parser = backend)]
    backend: BackendKind,
    /// The precision that was exported, fp32, fp16 or bf16: it is checked, not changed [default: any]
    #[arg(long, value_name = "NAME", value_parser = super::precision)]
    precision: Option<Precision>,
    /// Where the engines are to run [default: cpu for onnxruntime, cuda for the others]
    #[arg(long, value_name = "cpu|cuda", value_parser = device)]
    device: Option<Device>,
    /// Only these stages [default: all that were exported]
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    stages: Option<Vec<String>>,
    /// Ranges of named dimensions as JSON: {"visible": {"min": 0, "opt": 5120, "max": 10300}} for every stage, a list of
    /// such for several per engine, or {"profiles": [...], "stages": {"encoder": [...]}}
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
    #[command(flatten)]
    compiled: CompiledArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.calibration.is_some() {
        bail!("calibration is for precision int8 and fp8, which are not available\nleave --calibration out");
    }
    args.compiled.check(args.backend)?;
    let profile = args.profile.as_deref().map(ProfileFile::read).transpose()?;
    let options = BuildOptions {
        device: args.device(),
        stages: args.stages.clone(),
        profiles: profile.as_ref().map_or_else(ProfileOverrides::default, |file| file.overrides.clone()),
        compile: args.compiled.options(),
        adopted: args.compiled.adopted()?,
        force: args.force,
        verify: args.verify,
    };
    let backend = open_backend(args.backend, &args.backend_options())?;
    precision::check(&args.exported, args.stages.as_deref(), (args.backend, args.device()), args.precision)?;
    partial::watch(&args.out, BUNDLE_MANIFEST_FILE)?;
    let built = Builder::new(backend.as_ref(), options).build(&args.exported, &args.out, &mut BuildProgress::default());
    let summary = built.map_err(|error| match profile {
        Some(file) => file.blame(error),
        None => error.into(),
    })?;
    args.report(&summary);
    Ok(())
}

impl Args {
    fn device(&self) -> Device {
        self.device.unwrap_or(match self.backend {
            BackendKind::OnnxRuntime => Device::Cpu,
            BackendKind::TensorRt | BackendKind::TensorRtRtx => Device::Cuda,
        })
    }

    fn backend_options(&self) -> BackendOptions {
        BackendOptions {
            onnxruntime_library: self.onnxruntime.clone(),
            tensorrt_library: self.compiled.tensorrt.clone(),
            timing_cache: self.compiled.timing_cache.clone(),
        }
    }

    fn report(&self, summary: &BuildSummary) {
        for (stage, variant) in &summary.dropped {
            console::note(format_args!("dropped {stage} {variant}"));
        }
        if summary.built.iter().any(|built| built.memory.is_some()) {
            let mut text = String::new();
            table(&summary.built).write(&mut text, usize::MAX);
            console::note(text.trim_end());
        }
        let shown = self.out.display();
        let (n_built, n_unchanged) = (summary.built.len(), summary.unchanged.len());
        if summary.nothing_to_do() {
            let are = if n_unchanged == 1 { "is" } else { "are" };
            console::print(format_args!(
                "{shown}: nothing to do, {} {are} up to date ({:.2} s)",
                count(n_unchanged, "engine"),
                summary.secs
            ));
        } else {
            // The other backends have no choice of devices.
            let place = match (self.backend, self.device()) {
                (BackendKind::OnnxRuntime, Device::Cuda) => " for cuda",
                _ => "",
            };
            console::print(format_args!(
                "{shown}: {} built{place}, {n_unchanged} unchanged ({:.1} s)",
                count(n_built, "engine"),
                summary.secs
            ));
        }
    }
}

/// What was compiled, and what it takes.
fn table(built: &[BuiltVariant]) -> Table {
    let known = |n_bytes: Option<u64>| n_bytes.map_or_else(|| "unknown".to_owned(), bytes);
    let row = |built: &BuiltVariant| {
        vec![
            built.stage.clone(),
            built.variant.clone(),
            format!("{:.1} s", built.secs),
            bytes(built.own_bytes),
            known(built.memory.as_ref().and_then(|memory| memory.activation_bytes)),
            known(built.peak_bytes),
        ]
    };
    let columns = &["stage", "variant", "time", "engine", "activations", "peak memory"];
    Table { columns, rows: built.iter().map(row).collect() }
}

fn backend(name: &str) -> Result<BackendKind, String> {
    name.parse().map_err(|error| super::one_line(&error))
}

fn device(name: &str) -> Result<Device, String> {
    [Device::Cpu, Device::Cuda]
        .into_iter()
        .find(|device| device.to_string() == name)
        .ok_or_else(|| format!("{name} is not a device; use cpu or cuda"))
}
