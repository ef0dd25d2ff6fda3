//! `egom2p-train tokenizer`: the tokenizers of gaze, camera trajectories and video.

mod run;
mod settings;
mod training_clips;

use super::clips::ClipFolder;
use super::left_out::MAX_DAMAGED;
use super::model::ModelArgs;
use super::training::TrainingArgs;
use crate::console;
use anyhow::{Context as _, ensure};
use egom2p_model::{Modality, ModelConfig, weights::WeightsPart};
use egom2p_synth::Split;
use egom2p_train::checkpoint::Checkpoint;
use egom2p_train::distributed::Ranks;
use egom2p_train::tokenizers::{ClipOrder, MotionTokenizer, Tokenizer, TokenizerTraining, VideoTokenizer};
use run::{Run, State};
pub(super) use settings::TokenizerFile;
use std::path::PathBuf;
use std::rc::Rc;
use tch::Device;
use training_clips::TrainingClips;

const EXAMPLES: &str = "\
Examples:
  The camera tokenizer of a small model:
    egom2p-train tokenizer camera --preset egom2p-tiny --data clips --out camera
  After Ctrl-C or a crash, go on as if nothing had happened:
    egom2p-train tokenizer camera --data clips --out camera --resume
  With settings of one's own:
    egom2p-train settings video > video.json
    egom2p-train tokenizer video --preset egom2p-tiny --data clips --out video --settings video.json";

/// `egom2p-train tokenizer`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which tokenizer: gaze, camera, or video, which is that of depth and rgb
    #[arg(value_name = "TOKENIZER", value_parser = part)]
    part: WeightsPart,
    /// A folder of raw clips, as synth writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// paper, published, or a JSON file of settings as "egom2p-train settings" prints it [default: published]
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "resume")]
    settings: Option<PathBuf>,
    /// Conventions of datasets that are neither synthetic nor of the paper, JSON
    #[arg(long, value_name = "FILE")]
    preparation: Option<PathBuf>,
    /// How many damaged clips are left out before the training fails
    #[arg(long, value_name = "N", default_value_t = MAX_DAMAGED)]
    max_damaged: usize,
    #[command(flatten)]
    training: TrainingArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (ranks, device) = args.training.start()?;
    args.model.check_resume(args.training.resume)?;
    let newest = if args.training.resume { Some(args.training.newest()?) } else { None };
    let plan = match &newest {
        Some(checkpoint) => Plan::of_checkpoint(checkpoint, args.part)?,
        None => {
            Plan { config: args.model.config()?, settings: TokenizerFile::named(args.settings.as_deref(), args.part)? }
        }
    };
    let settings = plan.settings.settings();
    match args.part {
        WeightsPart::Camera | WeightsPart::Gaze => {
            let modality = if args.part == WeightsPart::Gaze { Modality::Gaze } else { Modality::Camera };
            let tokenizer = MotionTokenizer::new(&plan.config, modality, &settings, device)?;
            train(args, plan, tokenizer, newest, (ranks.as_ref(), device))
        }
        WeightsPart::Video | WeightsPart::Model => {
            let tokenizer = VideoTokenizer::new(&plan.config, plan.settings.video_loss()?, settings.seed, device)?;
            train(args, plan, tokenizer, newest, (ranks.as_ref(), device))
        }
    }
}

/// What is trained, and how.
struct Plan {
    config: ModelConfig,
    settings: TokenizerFile,
}

impl Plan {
    fn of_checkpoint(checkpoint: &Checkpoint, part: WeightsPart) -> anyhow::Result<Self> {
        let got = checkpoint.part;
        ensure!(got == part, "the checkpoint is of {got}, expected {part}\nname the folder of a training of {part}");
        Ok(Self { config: checkpoint.config.clone(), settings: State::read(checkpoint)?.settings })
    }
}

fn train<T: Tokenizer>(
    args: &Args,
    plan: Plan,
    tokenizer: T,
    newest: Option<Checkpoint>,
    (ranks, device): (Option<&Rc<Ranks>>, Device),
) -> anyhow::Result<()> {
    let Plan { config, settings } = plan;
    let folder = ClipFolder::open(&args.data, &config, args.preparation.as_deref())?;
    let clips = TrainingClips::read(&folder, Split::Training, args.part, args.max_damaged)?;
    let data = args.data.display();
    ensure!(
        clips.len() > 0,
        "{data} has no clips in {} for {}\nname a folder with train/DATASET/MODALITY/CLIP.npz",
        Split::Training.name(),
        args.part
    );
    let held_out = TrainingClips::read(&folder, Split::Validation, args.part, args.max_damaged)?;
    let training = TokenizerTraining::new(tokenizer, &settings.settings(), clips.len())?;
    let order = ClipOrder::new(clips.len(), &settings.settings())?;
    let part = args.part;
    let mut run =
        Run { training, order, folder, clips, held_out, config, part, settings, device, ranks: ranks.cloned() };
    if let Some(checkpoint) = newest {
        let State { clips, .. } = State::read(&checkpoint)?;
        ensure!(
            clips == run.clips.digest(),
            "{data} has other clips than the training began with\nresume with the same clips"
        );
        run.training.restore(checkpoint.step, &checkpoint.tensors)?;
    }
    if let Some(ranks) = ranks {
        run.share(ranks)?;
    }
    let trained =
        args.training.train(&mut run, ranks.map(Rc::as_ref)).with_context(|| format!("training of {}", args.part));
    let n_left_out = run.clips.n_left_out() + run.held_out.n_left_out();
    if n_left_out > 0 {
        console::note(format_args!("clips that were left out: {n_left_out}"));
    }
    trained
}

/// The part of the weights that a tokenizer's name means.
fn part(name: &str) -> Result<WeightsPart, String> {
    match name {
        "camera" => Ok(WeightsPart::Camera),
        "gaze" => Ok(WeightsPart::Gaze),
        "video" => Ok(WeightsPart::Video),
        _ => Err(format!("{name} has no tokenizer; use gaze, camera or video")),
    }
}
