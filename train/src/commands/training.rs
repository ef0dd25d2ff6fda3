//! What all trainings of the command line share: their folder, their length, and how they end.

use super::device::{DeviceName, device};
use super::interrupt;
use super::lock::FolderLock;
use super::progress::TrainingProgress;
use crate::console;
use anyhow::{Context as _, ensure};
use egom2p_train::checkpoint::{Checkpoint, checkpoints, latest, load, save};
use egom2p_train::distributed::{Launch, Ranks};
use egom2p_train::metrics::{LINES_FILE, MetricsFolder, StepMetrics};
use serde_json::json;
use std::{
    env,
    num::NonZero,
    path::{Path, PathBuf},
    rc::Rc,
};
use tch::Device;

/// The folder of a training's checkpoints.
const CHECKPOINTS: &str = "checkpoints";

const THREADS_HELP: &str = "Threads of one operation; with 1, a training that is repeated or resumed is the same to the last bit [default: OMP_NUM_THREADS, else all cores]";

/// What is said about every training.
#[derive(clap::Args)]
pub(super) struct TrainingArgs {
    /// The folder of the training: checkpoints, metrics and the picture of its loss
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Go on from the newest checkpoint of the folder, with its sizes and settings
    #[arg(long)]
    pub(super) resume: bool,
    /// End once so many steps are made in all; the learning rate is that of the whole training [default: all steps]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Steps from one checkpoint to the next
    #[arg(long, value_name = "N", default_value = "1000")]
    checkpoint_every: NonZero<u64>,
    /// How many checkpoints are kept
    #[arg(long, value_name = "N", default_value = "3")]
    keep: NonZero<usize>,
    #[arg(long, value_name = "N", help = THREADS_HELP)]
    threads: Option<NonZero<u16>>,
    /// Where to compute: cpu, cuda (of several processes, each on a GPU of its own) or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    device: DeviceName,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

/// A training, step by step. Several ranks make the same calls.
pub(super) trait Training {
    /// Steps made.
    fn n_steps(&self) -> u64;

    /// Steps of the whole schedule.
    fn total_steps(&self) -> u64;

    /// Makes a step and says what it did, the loss as [`LOSS`].
    fn step(&mut self) -> anyhow::Result<Vec<(String, f64)>>;

    /// Evaluates on what is held out, and says what it found; nothing without such clips.
    fn evaluate(&mut self, folder: &Path) -> anyhow::Result<Vec<(String, f64)>>;

    /// All that is needed to go on.
    fn checkpoint(&self) -> anyhow::Result<Checkpoint>;

    /// What one does with the last checkpoint, and its command.
    fn next(&self, checkpoint: &Path) -> (&'static str, String);
}

/// The folder of a training, which no other process writes; of several ranks, only the first does.
pub(super) struct TrainingFolder {
    path: PathBuf,
    /// The files, where this process writes them.
    files: Option<TrainingFiles>,
    keep: usize,
    /// The step of the newest checkpoint.
    stored: u64,
}

struct TrainingFiles {
    metrics: MetricsFolder,
    _lock: FolderLock,
}

impl TrainingArgs {
    /// Prepares libtorch, and waits for the other processes where a launcher started several: they, or `None` where this
    /// one trains alone, and where to compute. Comes before the first tensor.
    pub(super) fn start(&self) -> anyhow::Result<(Option<Rc<Ranks>>, Device)> {
        if let Some(threads) = self.threads {
            tch::set_num_threads(threads.get().into());
        }
        let launch = Launch::from_environment(|name| env::var(name).ok())?;
        let gpu = self.device.open(launch.as_ref())?;
        let ranks = launch.map(|launch| Ranks::meet(&launch, gpu.as_ref())).transpose()?;
        Ok((ranks.map(Rc::new), gpu.map_or(Device::Cpu, |gpu| gpu.device())))
    }

    /// The newest checkpoint of the folder.
    pub(super) fn newest(&self) -> anyhow::Result<Checkpoint> {
        let folder = self.out.join(CHECKPOINTS);
        let newest = latest(&folder)?;
        let path = newest.with_context(|| {
            format!("{} holds no checkpoint\nname the folder of a training, or leave --resume out", folder.display())
        })?;
        Ok(load(&path, Device::Cpu)?)
    }

    /// Trains to the end, or until Ctrl-C on any rank. At the start and at the end there is a checkpoint, so that whatever
    /// comes between can be gone on with.
    pub(super) fn train(&self, training: &mut dyn Training, ranks: Option<&Ranks>) -> anyhow::Result<()> {
        let is_first = ranks.is_none_or(Ranks::is_first);
        let mut folder = TrainingFolder::open(self, training, is_first)?;
        let total = training.total_steps();
        let end = self.steps.map_or(total, |steps| steps.min(total));
        let mut progress = is_first.then(|| TrainingProgress::start(training.n_steps(), end));
        while training.n_steps() < end && !is_asked(ranks)? {
            let values = training.step()?;
            let step = training.n_steps();
            if let Some(progress) = &mut progress {
                progress.update(step, &values);
            }
            folder.write(step, values)?;
            if step.is_multiple_of(self.checkpoint_every.get()) || step == end {
                if let Some(progress) = &progress {
                    progress.say(step);
                }
                folder.evaluate(training)?;
                folder.save(training)?;
            }
        }
        folder.save(training)?;
        // Only the first rank has something to say.
        let Some(progress) = progress else { return Ok(()) };
        progress.finish();
        let (path, step) = (folder.newest()?, training.n_steps());
        if self.json {
            return console::print_json(
                &json!({ "step": step, "total_steps": total, "loss": progress.loss(), "checkpoint": path }),
            );
        }
        console::print(path.display());
        if step < total {
            console::note(format_args!("{step} of {total} steps are made: go on with --resume"));
        } else {
            let (what, command) = training.next(&path);
            console::next(what, &[command]);
        }
        Ok(())
    }
}

impl TrainingFolder {
    fn open(args: &TrainingArgs, training: &dyn Training, is_first: bool) -> anyhow::Result<Self> {
        let (path, keep, stored) = (args.out.clone(), args.keep.get(), training.n_steps());
        let first = if args.resume { None } else { Some(training.checkpoint()?) };
        let files = if is_first { Some(TrainingFiles::open(args, stored, first.as_ref())?) } else { None };
        Ok(Self { path, files, keep, stored })
    }

    fn write(&mut self, step: u64, values: Vec<(String, f64)>) -> anyhow::Result<()> {
        let Some(TrainingFiles { metrics, .. }) = &mut self.files else { return Ok(()) };
        Ok(metrics.write(&StepMetrics::now(step, values))?)
    }

    fn evaluate(&mut self, training: &mut dyn Training) -> anyhow::Result<()> {
        let values = training.evaluate(&self.path)?;
        if values.is_empty() { Ok(()) } else { self.write(training.n_steps(), values) }
    }

    /// Stores the training as it stands, unless that is what was stored last, and draws its loss.
    fn save(&mut self, training: &dyn Training) -> anyhow::Result<()> {
        let step = training.n_steps();
        if step > self.stored {
            let checkpoint = training.checkpoint()?;
            if let Some(TrainingFiles { metrics, .. }) = &self.files {
                save(&self.path.join(CHECKPOINTS), &checkpoint, self.keep)?;
                metrics.draw()?;
            }
            self.stored = step;
        }
        Ok(())
    }

    /// The path of the newest checkpoint.
    fn newest(&self) -> anyhow::Result<PathBuf> {
        let found = checkpoints(&self.path.join(CHECKPOINTS))?.pop();
        Ok(found.context("the checkpoint is gone\ndo not remove the newest checkpoint of a training that runs")?.1)
    }
}

impl TrainingFiles {
    /// The files of a training after so many steps; of a new one, with its first checkpoint.
    fn open(args: &TrainingArgs, step: u64, first: Option<&Checkpoint>) -> anyhow::Result<Self> {
        let path = &args.out;
        let shown = path.display();
        let folder = path.join(CHECKPOINTS);
        if !args.resume {
            let found = checkpoints(&folder)?.pop();
            ensure!(
                found.is_none() && !path.is_file() && !path.join(LINES_FILE).exists(),
                "{shown} holds a training already\ngo on with it by --resume, or choose another folder"
            );
        }
        let lock = FolderLock::hold(&folder)?;
        let metrics = match first {
            Some(checkpoint) => {
                // The checkpoint comes first, so that what is killed from here on can be resumed.
                save(&folder, checkpoint, args.keep.get())?;
                MetricsFolder::create(path)?
            }
            None => MetricsFolder::resume(path, step)?,
        };
        Ok(Self { metrics, _lock: lock })
    }
}

/// Whether any rank is to end.
fn is_asked(ranks: Option<&Ranks>) -> anyhow::Result<bool> {
    let own = interrupt::is_asked();
    Ok(ranks.map_or(Ok(own), |ranks| ranks.any(own))?)
}
