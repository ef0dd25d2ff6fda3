//! `egom2p bench`: what a bundle takes on this machine.

mod device;
mod json;
mod plan;
mod text;

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use egom2p::{
    benchmark::{
        CeilingGraphs, Ceilings, ClipLatency, EngineBenchmark, EngineRuns, Filling, measure_clips, measure_engine,
    },
    clips::TokensFile,
    engine_stages::EngineStages,
    generation::GenerationSettings,
    run_report,
};
use egom2p_engine_core::{Device, SessionOptions};
use egom2p_engines::{Bundle, open_backend};
use egom2p_model::{Modality, ModelConfig, Stage};
use indicatif::ProgressBar;

pub(super) use self::device::OnDevice;
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
    /// Clips that a GPU predicts together, or "fill": 1, 2, 4 and so on as long as it pays
    #[arg(long, value_name = "N|fill", default_value = "1", value_parser = batch)]
    batch: Batch,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    engines: EngineArgs,
}

/// What is to be measured, and how.
pub(super) struct Request<'a> {
    pub(super) bundle: &'a Path,
    /// Only the engines of these stages; none for all.
    pub(super) stages: &'a [Stage],
    /// What whole clips are decoded to; none for those of depth, camera and gaze that the bundle has.
    pub(super) to: &'a [Modality],
    /// Tokens of a clip; none for RGB tokens that follow from the seed.
    pub(super) tokens: &'a [TokensFile],
    pub(super) secs: u64,
    pub(super) clips: u16,
    pub(super) batch: Batch,
    pub(super) seed: u64,
    /// How clips are decoded to these targets.
    pub(super) settings: &'a dyn Fn(&[Modality]) -> GenerationSettings,
    pub(super) engines: &'a EngineArgs,
}

/// How many clips a GPU predicts together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Batch {
    /// This many.
    Clips(NonZeroUsize),
    /// One, and then more as long as it pays.
    Fill,
}

/// Everything that was measured.
pub(super) struct Measured<'a> {
    request: &'a Request<'a>,
    bundle: Bundle,
    options: SessionOptions,
    settings: GenerationSettings,
    engines: Vec<EngineBenchmark>,
    /// What was measured of whole clips, and why the rest was not.
    pub(super) clips: ClipsMeasured,
    ceilings: Result<Ceilings, String>,
    host_peak_bytes: Option<u64>,
    /// The device that the engines run on, where that is not the processor.
    device: Option<OnDevice>,
}

/// What was measured of whole clips.
pub(super) struct ClipsMeasured {
    /// What clips are made from and decoded to, such as `rgb to depth, camera`.
    pub(super) task: String,
    pub(super) measured: Vec<ClipLatency>,
    /// Batches of growing size, where those were asked for; the first is the one in `measured`.
    pub(super) fillings: Vec<Filling>,
    /// What was not measured, by the name of the scope, and why.
    pub(super) left_out: BTreeMap<&'static str, String>,
}

/// Time for each ceiling, however little an engine gets: the best run of a few says little.
const MIN_CEILING_SECS: u64 = 2;

/// Why there is no device memory to report.
const NO_DEVICE_MEMORY: &str = "these engines run on the processor";

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let settings = |targets: &[Modality]| args.decoding.settings(targets, args.engines.n_threads());
    let request = Request {
        bundle: &args.bundle,
        stages: &args.stages,
        to: &args.to,
        tokens: &args.tokens,
        secs: args.secs,
        clips: args.clips,
        batch: args.batch,
        seed: args.decoding.seed,
        settings: &settings,
        engines: &args.engines,
    };
    let measured = measure(&request)?;
    if args.json {
        return console::print_json(&measured.to_json());
    }
    console::print(measured.to_text().trim_end());
    Ok(())
}

/// Measures engines, whole clips and the machine.
pub(super) fn measure<'a>(request: &'a Request<'a>) -> anyhow::Result<Measured<'a>> {
    let mut stages = request.engines.open(request.bundle)?;
    let config = super::bundle_config(stages.bundle())?;
    stages.require(request.stages.iter().copied())?;
    let engines = plan::engines(stages.bundle(), request.stages)?;
    let plan = ClipsPlan::new(request, &config, &stages)?;
    let settings = (request.settings)(&plan.targets);
    let options = request.engines.session_options();
    let mut device = OnDevice::open(stages.bundle(), request.batch, &request.engines.backend_options())?;
    let ceilings = CeilingGraphs::write()?;
    let bar = console::progress((engines.len() + plan.n_clips() + 1) as u64, "");

    let clips = match &mut device {
        Some(device) => device.measure_all_clips(request, &config, &plan, &settings, &bar)?,
        None => measure_all_clips(&mut stages, &config, &plan, &settings, &bar)?,
    };
    let mut measured = Vec::with_capacity(engines.len());
    for (stage, variant) in engines {
        bar.set_message(format!("{stage}.{variant}"));
        let runs = EngineRuns {
            device: device.as_ref().map(OnDevice::device),
            options: &options,
            budget: Duration::from_secs(request.secs),
            seed: settings.seed,
        };
        measured.push(measure_engine(stages.bundle(), &config, (stage, &variant), runs)?);
        bar.inc(1);
    }
    // The ceilings take memory of their own, which is not the bundle's.
    let host_peak_bytes = run_report::peak_memory_bytes();
    bar.set_message("ceilings");
    let budget = Duration::from_secs(request.secs.max(MIN_CEILING_SECS));
    let ceilings = if let Some(device) = &device {
        // What was measured so far is worth more than the shares.
        let ceilings = device.measure_ceilings(request, stages.bundle(), &ceilings, (&options, budget));
        ceilings.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
    } else {
        let (backend, device) = backend(&measured);
        let backend = open_backend(backend.parse()?, &request.engines.backend_options())?;
        Ok(ceilings.measure(&*backend, device, &options, budget)?)
    };
    bar.finish_and_clear();
    let bundle = Bundle::open(request.bundle, request.engines.backend_options())?;
    Ok(Measured { request, bundle, options, settings, engines: measured, clips, ceilings, host_peak_bytes, device })
}

/// Measures whole clips as far as the bundle has the stages.
fn measure_all_clips(
    stages: &mut EngineStages,
    config: &ModelConfig,
    plan: &ClipsPlan,
    settings: &GenerationSettings,
    bar: &ProgressBar,
) -> anyhow::Result<ClipsMeasured> {
    let mut clips = ClipsMeasured::new(plan);
    let Some(n_clips) = NonZeroUsize::new(plan.n_timed) else { return Ok(clips) };
    for (scope, given) in &plan.scopes {
        bar.set_message(format!("clips to {}", scope.name()));
        clips.measured.push(measure_clips(stages, config, given, settings, (*scope, n_clips), &mut || bar.inc(1))?);
    }
    Ok(clips)
}

impl ClipsMeasured {
    /// Nothing measured yet.
    fn new(plan: &ClipsPlan) -> Self {
        let left_out = plan.left_out.clone();
        Self { task: plan.task.clone(), measured: Vec::new(), fillings: Vec::new(), left_out }
    }
}

/// The backend and the device whose ceilings are measured: those of the first engine.
fn backend(engines: &[EngineBenchmark]) -> (&str, Device) {
    engines.first().map_or(("onnxruntime", Device::Cpu), |engine| (&engine.backend, engine.device))
}

fn batch(text: &str) -> Result<Batch, String> {
    let clips = || text.parse().ok().filter(|batch: &NonZeroUsize| batch.get() <= 1024).map(Batch::Clips);
    if text == "fill" { Some(Batch::Fill) } else { clips() }.ok_or_else(|| {
        format!("{text} is no number of clips; write a number from 1 to 1024, or \"fill\" for as many as pay")
    })
}
