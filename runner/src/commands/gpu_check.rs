//! `egom2p gpu-check`: whether a bundle gives what the processor gave, and then what it takes.

mod calls;
mod cases;
mod checks;
mod generated;
mod reference;
mod sample;
mod store;
mod tokens;
mod tolerances;
mod weights;

use std::{num::NonZeroUsize, path::PathBuf};

use anyhow::{bail, ensure};
use egom2p::generation::GenerationSettings;
use egom2p_engine_core::Device;
use egom2p_engines::Bundle;
use egom2p_model::{Modality, ModelConfig, Preset};
use serde_json::json;

use self::{checks::Check, reference::Reference};
use super::{
    bench::{self, Batch, OnDevice},
    engines::EngineArgs,
};
use crate::console;

/// The version of the object that `--json` prints.
const GPU_CHECK_SCHEMA: u32 = 1;

/// `egom2p gpu-check`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("way").args(["reference", "store"]).required(true)))]
pub(crate) struct Args {
    /// The bundle to check, or with --store the one whose results are kept
    bundle: PathBuf,
    /// Results of the same weights on the processor: the folder that --store made
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Keep the results of this bundle, which runs on the processor in fp32, in a folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["secs", "clips", "json"])]
    store: Option<PathBuf>,
    /// Time for the timed runs of each engine; 3 runs are made in any case
    #[arg(long, value_name = "SECS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    secs: u64,
    /// Whole clips to time; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    clips: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engines: EngineArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&args.bundle, args.engines.backend_options())?;
    let config = super::bundle_config(&bundle)?;
    if let Some(folder) = &args.store {
        return store::store(&bundle, &config, &args.engines, folder);
    }
    let Some(folder) = &args.reference else { bail!("there is no reference\npass --reference DIR") };
    let reference = Reference::open(folder)?;
    check_model(args, &config, &reference)?;
    weights::check_weights(&bundle, (folder, &reference.manifest.weights))?;
    let batch = if on_gpu(&bundle) { Batch::Fill } else { Batch::Clips(NonZeroUsize::MIN) };
    let device = OnDevice::open(&bundle, batch, &args.engines.backend_options())?;

    let bar = console::progress(1, "");
    let mut checks = calls::check_all(&bundle, &config, &reference, &args.engines.session_options(), &bar)?;
    checks.extend(generated::check(&bundle, &config, &reference, device.as_ref(), &args.engines, &bar)?);
    bar.finish_and_clear();
    let mut text = String::new();
    checks::table(&checks).write(&mut text, usize::MAX);
    let n_failed = checks.iter().filter(|check| check.passed == Some(false)).count();
    console::note(format_args!("{n_failed} of {} checks failed; measuring now", checks.len()));
    let settings =
        |targets: &[Modality]| -> GenerationSettings { tokens::settings(targets, false, args.engines.n_threads()) };
    let request = bench::Request {
        bundle: &args.bundle,
        stages: &[],
        to: &[],
        tokens: &[],
        secs: args.secs,
        clips: args.clips,
        batch,
        seed: cases::SEED,
        settings: &settings,
        engines: &args.engines,
    };
    let measured = match bench::measure(&request) {
        Ok(measured) => measured,
        Err(error) => {
            console::print(text.trim_end());
            return Err(error);
        }
    };
    let place = device.as_ref().map_or("the processor", |device| device.device().facts().name.as_str());
    if args.json {
        console::print_json(&json!({
            "schema": GPU_CHECK_SCHEMA,
            "device": place,
            "reference": reference.manifest.versions,
            "passed": checks.iter().all(|check| check.passed != Some(false)),
            "checks": checks::to_json(&checks),
            "bench": measured.to_json(),
        }))?;
    } else {
        console::print(measured.to_text());
        text.push('\n');
        measured.clip_table().write(&mut text, usize::MAX);
        console::print(format_args!("{} on {place}\n{}", args.bundle.display(), text.trim_end()));
    }
    verdict(args, &checks)
}

/// Fails with the first check that failed.
fn verdict(args: &Args, checks: &[Check]) -> anyhow::Result<()> {
    let failed: Vec<&Check> = checks.iter().filter(|check| check.passed == Some(false)).collect();
    let Some(first) = failed.first() else { return Ok(()) };
    bail!(
        "{} of {} checks of {} failed, the first is {}\nthe table says how far it is off; docs/how-to/outputs-differ.md says where to look",
        failed.len(),
        checks.len(),
        args.bundle.display(),
        first.name
    )
}

/// Fails unless bundle and reference are of a model of the same sizes.
fn check_model(args: &Args, config: &ModelConfig, reference: &Reference) -> anyhow::Result<()> {
    let name = |config: &ModelConfig| Preset::of(config).map_or("a model of its own", Preset::name);
    ensure!(
        *config == reference.manifest.config,
        "bundle {} is of {}, its reference of {}\nstore a reference from a bundle of the same model for the processor",
        args.bundle.display(),
        name(config),
        name(&reference.manifest.config)
    );
    Ok(())
}

/// Whether any engine runs on a GPU.
fn on_gpu(bundle: &Bundle) -> bool {
    let mut variants = bundle.manifest().stages.values().flat_map(|variants| variants.values());
    variants.any(|variant| variant.device == Device::Cuda)
}
