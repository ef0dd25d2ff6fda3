//! `egom2p bench`: what a bundle takes on this machine.

mod json;
mod plan;
mod text;

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, time::Duration};

use egom2p::{
    benchmark::{CeilingGraphs, Ceilings, ClipLatency, EngineBenchmark, measure_clips, measure_engine},
    clips::TokensFile,
    engine_stages::EngineStages,
    generation::GenerationSettings,
    run_report,
};
use egom2p_engine_core::{Device, SessionOptions};
use egom2p_engines::{Bundle, open_backend};
use egom2p_model::{Modality, ModelConfig, Stage};
use indicatif::ProgressBar;

use self::plan::ClipsPlan;
use super::{decoding::DecodingArgs, engines::EngineArgs};
use crate::console;

/// `egom2p bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle to measure
    bundle: PathBuf,
    /// Only the engines of these stages [default: all]
    #[arg(long, value_name = "STAGES", value_delimiter = ',', value_parser = super::stage)]
    stages: Vec<Stage>,
    /// What whole clips are decoded to, in the order given [default: those of depth, camera and gaze that the bundle has]
    #[arg(long, value_name = "MODALITIES", value_delimiter = ',', value_parser = super::modality)]
    to: Vec<Modality>,
    /// Tokens of a clip (.npz, .npy or .safetensors) [default: RGB tokens that follow from the seed]
    #[arg(long, value_name = "MODALITY=FILE", value_parser = super::tokens_file)]
    tokens: Vec<TokensFile>,
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
    decoding: DecodingArgs,
    #[command(flatten)]
    engines: EngineArgs,
}

/// Everything that was measured.
struct Measured<'a> {
    args: &'a Args,
    bundle: &'a Bundle,
    options: &'a SessionOptions,
    settings: &'a GenerationSettings,
    engines: &'a [EngineBenchmark],
    /// What was measured of whole clips, and why the rest was not.
    clips: &'a ClipsMeasured,
    ceilings: &'a Ceilings,
    host_peak_bytes: Option<u64>,
}

/// What was measured of whole clips.
struct ClipsMeasured {
    /// What clips are made from and decoded to, such as `rgb to depth, camera`.
    task: String,
    measured: Vec<ClipLatency>,
    /// What was not measured, by the name of the scope, and why.
    left_out: BTreeMap<&'static str, String>,
}

/// Time for each ceiling, however little an engine gets: the best run of a few says little.
const MIN_CEILING_SECS: u64 = 2;

/// Why there is no device memory to report.
const NO_DEVICE_MEMORY: &str = "these engines run on the processor";

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut stages = args.engines.open(&args.bundle)?;
    let config = super::bundle_config(stages.bundle())?;
    stages.require(args.stages.iter().copied())?;
    let engines = plan::engines(stages.bundle(), &args.stages)?;
    let clips = ClipsPlan::new(args, &config, &stages)?;
    let settings = args.decoding.settings(&clips.targets, args.engines.n_threads());
    let options = args.engines.session_options();
    let ceilings = CeilingGraphs::write()?;
    let bar = console::progress((engines.len() + clips.n_clips() + 1) as u64, "");

    let clips = measure_all_clips(&mut stages, &config, &clips, &settings, &bar)?;
    let bundle = stages.bundle();
    let mut measured = Vec::with_capacity(engines.len());
    for (stage, variant) in engines {
        bar.set_message(format!("{stage}.{variant}"));
        let budget = Duration::from_secs(args.secs);
        measured.push(measure_engine(bundle, &config, (stage, &variant), &options, budget, settings.seed)?);
        bar.inc(1);
    }
    // The ceilings take memory of their own, which is not the bundle's.
    let host_peak_bytes = run_report::peak_memory_bytes();
    bar.set_message("ceilings");
    let (backend, device) = backend(&measured);
    let backend = open_backend(backend.parse()?, &args.engines.backend_options())?;
    let ceilings =
        ceilings.measure(&*backend, device, &options, Duration::from_secs(args.secs.max(MIN_CEILING_SECS)))?;
    bar.finish_and_clear();

    let measured = Measured {
        args,
        bundle,
        options: &options,
        settings: &settings,
        engines: &measured,
        clips: &clips,
        ceilings: &ceilings,
        host_peak_bytes,
    };
    if args.json {
        return console::print_json(&measured.to_json());
    }
    console::print(measured.to_text().trim_end());
    Ok(())
}

/// Measures whole clips as far as the bundle has the stages.
fn measure_all_clips(
    stages: &mut EngineStages,
    config: &ModelConfig,
    plan: &ClipsPlan,
    settings: &GenerationSettings,
    bar: &ProgressBar,
) -> anyhow::Result<ClipsMeasured> {
    let mut clips = ClipsMeasured { task: plan.task.clone(), measured: Vec::new(), left_out: plan.left_out.clone() };
    let Some(n_clips) = NonZeroUsize::new(plan.n_timed) else { return Ok(clips) };
    for (scope, given) in &plan.scopes {
        bar.set_message(format!("clips to {}", scope.name()));
        clips.measured.push(measure_clips(stages, config, given, settings, (*scope, n_clips), &mut || bar.inc(1))?);
    }
    Ok(clips)
}

/// The backend and the device whose ceilings are measured: those of the first engine.
fn backend(engines: &[EngineBenchmark]) -> (&str, Device) {
    engines.first().map_or(("onnxruntime", Device::Cpu), |engine| (&engine.backend, engine.device))
}
