//! `egom2p-train pretrain` and `posttrain`: the main model on tokens.

use super::left_out::{LeftOut, MAX_DAMAGED};
use super::model::{ModelArgs, read_text};
use super::shell;
use super::training::{Training, TrainingArgs};
use crate::console;
use anyhow::{Context as _, ensure};
use egom2p_graph::Parameters;
use egom2p_model::weights::WeightsPart;
use egom2p_model::{Modality, ModelConfig, WeightsFolder};
use egom2p_train::checkpoint::{Checkpoint, checkpoints};
use egom2p_train::data::{
    Damage, DataSettings, DatasetSettings, Mixture, Sample, SampleStream as _, SourcePattern, TokenLayout,
    ValidationSet,
};
use egom2p_train::distributed::Ranks;
use egom2p_train::metrics::{LOSS, VALIDATION_LOSS};
use egom2p_train::{Initial, Pretraining, PretrainingSettings, Validation};
use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tch::Device;

/// The least difference in nats that the RGB of another clip makes where a target depends on RGB.
const HEEDED: f64 = 0.01;

const PRETRAIN_EXAMPLES: &str = "\
Examples:
  A small model on two datasets; quotes keep the shell from reading the brackets:
    egom2p-train pretrain --preset egom2p-tiny --out model \\
      --data 'tokens/train/[rgb,depth,cam,gaze]/rooms/token/shard-{000000..000003}.tar' \\
             'tokens/train/[rgb,cam]/walks/token/shard-000000.tar' \\
      --validation 'tokens/val/[rgb,depth,cam,gaze]/rooms/*.npz'
  After Ctrl-C or a crash, go on as if nothing had happened; data and validation are given again:
    egom2p-train pretrain --out model --resume --data ... --validation ...
  With settings of one's own:
    egom2p-train settings pretraining > main.json
    egom2p-train pretrain --settings main.json --preset egom2p-tiny --out model --data ...";
const POSTTRAIN_EXAMPLES: &str = "\
Examples:
  From the weights of a pretraining; the best weights of every task come into tuned/best-TARGET:
    egom2p-train posttrain --weights model/checkpoints/step-00120048 --settings short.json --out tuned \\
      --data 'tokens/train/[rgb,depth]/rooms/token/shard-{000000..000003}.tar' \\
      --validation 'tokens/val/[rgb,depth]/rooms/*.npz'
  From published weights, which \"egom2p import\" has put into a folder:
    egom2p-train posttrain --weights weights --settings short.json --out tuned --data ...";

/// `egom2p-train pretrain`.
#[derive(clap::Args)]
#[command(after_help = PRETRAIN_EXAMPLES)]
pub(crate) struct PretrainArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    main: MainArgs,
}

/// `egom2p-train posttrain`.
#[derive(clap::Args)]
#[command(after_help = POSTTRAIN_EXAMPLES)]
pub(crate) struct PosttrainArgs {
    /// A weights folder or checkpoint with the model to start from
    #[arg(long, value_name = "WEIGHTS", required_unless_present = "resume", conflicts_with = "resume")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    main: MainArgs,
}

/// What both have in common.
#[derive(clap::Args)]
struct MainArgs {
    /// Tokens of every dataset: ROOT/[rgb,cam]/NAME/token/shard-{000000..000009}.tar or ROOT/[rgb,cam]/NAME/*.npz
    #[arg(long, value_name = "PATTERN", required = true, num_args = 1..)]
    data: Vec<String>,
    /// Held-out tokens, evaluated on at every checkpoint: ROOT/[rgb,cam]/NAME/*.npz
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    validation: Vec<String>,
    /// How many clips of every held-out dataset are evaluated on at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    validation_clips: usize,
    /// paper, published, or a JSON file of settings as "egom2p-train settings" prints it [default: published]
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "resume")]
    settings: Option<PathBuf>,
    /// How often a clip that was read is given before it is read again; 4 as published, 1 where reading costs little
    #[arg(long, value_name = "N", default_value_t = DataSettings::default().n_repeats)]
    repeats: usize,
    /// How many damaged files or clips in shards are left out before the training fails
    #[arg(long, value_name = "N", default_value_t = MAX_DAMAGED)]
    max_damaged: usize,
    /// Threads that read the data; the order of the samples does not depend on it
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: usize,
    /// Compute the activations of every block again in the backward pass: less memory for more time, the same results
    #[arg(long)]
    checkpointing: bool,
    #[command(flatten)]
    training: TrainingArgs,
}

pub(crate) fn pretrain(args: &PretrainArgs) -> anyhow::Result<()> {
    let (ranks, device) = args.main.training.start()?;
    args.model.check_resume(args.main.training.resume)?;
    let newest = args.main.newest()?;
    let settings = args.main.settings(newest.as_ref())?;
    let config = match &newest {
        Some(checkpoint) => checkpoint.config.clone(),
        None => args.model.config()?,
    };
    let initial = Initial::new(&config, settings.seed).with(settings.initialization);
    args.main.train(&settings, &config, &initial, newest, (ranks.as_ref(), device))
}

pub(crate) fn posttrain(args: &PosttrainArgs) -> anyhow::Result<()> {
    let (ranks, device) = args.main.training.start()?;
    let newest = args.main.newest()?;
    let settings = args.main.settings(newest.as_ref())?;
    match (newest, &args.weights) {
        (Some(checkpoint), _) => {
            let config = checkpoint.config.clone();
            args.main.train(&settings, &config, &Initial::new(&config, 0), Some(checkpoint), (ranks.as_ref(), device))
        }
        (None, weights) => {
            let path = weights.as_deref().unwrap_or(Path::new(""));
            let folder = WeightsFolder::open(path)?;
            let weights = folder.part(WeightsPart::Model)?;
            args.main.train(&settings, folder.config(), &weights, None, (ranks.as_ref(), device))
        }
    }
}

impl MainArgs {
    fn newest(&self) -> anyhow::Result<Option<Checkpoint>> {
        if !self.training.resume {
            return Ok(None);
        }
        let checkpoint = self.training.newest()?;
        let got = checkpoint.part;
        ensure!(
            got == WeightsPart::Model,
            "the checkpoint is of {got}, expected {}\nname the folder of a training of the main model",
            WeightsPart::Model
        );
        Ok(Some(checkpoint))
    }

    fn settings(&self, newest: Option<&Checkpoint>) -> anyhow::Result<PretrainingSettings> {
        if let Some(checkpoint) = newest {
            return Ok(PretrainingSettings::from_json(&checkpoint.state["settings"].to_string())?);
        }
        let Some(path) = &self.settings else { return Ok(PretrainingSettings::published()) };
        match path.to_str() {
            Some(name @ ("paper" | "published")) => Ok(PretrainingSettings::preset(name)?),
            _ => PretrainingSettings::from_json(&read_text(path)?).with_context(|| path.display().to_string()),
        }
    }

    fn train(
        &self,
        settings: &PretrainingSettings,
        config: &ModelConfig,
        parameters: &dyn Parameters,
        newest: Option<Checkpoint>,
        (ranks, device): (Option<&Rc<Ranks>>, Device),
    ) -> anyhow::Result<()> {
        let layout = TokenLayout::new(config);
        let samples_per_pass = settings.batch.samples_per_pass;
        let held_out = self.held_out(&layout, settings.seed)?;
        let trained = if held_out.is_empty() { Vec::new() } else { self.trained(settings, &layout, held_out.len())? };
        let n_left_out = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&n_left_out);
        let rank = ranks.map_or(0, |ranks| ranks.rank());
        let mixture = self.mixture(settings, &layout, rank, move |damage| {
            console::note(format_args!("left out: {}", damage.to_string().lines().next().unwrap_or_default()));
            counted.fetch_add(1, Ordering::Relaxed);
        })?;
        let mut training = Pretraining::new(settings, config, parameters, Box::new(mixture), device)?;
        if self.checkpointing {
            training = training.checkpointed();
        }
        if let Some(ranks) = ranks {
            training = training.join(Rc::clone(ranks))?;
        }
        if !held_out.is_empty() {
            training.set_validation(Validation::new(config, &held_out, &trained, samples_per_pass, device)?);
        }
        if let Some(checkpoint) = newest {
            ensure!(
                !held_out.is_empty() || checkpoint.state["validation"].is_null(),
                "{} was trained with --validation\nresume with the same --validation",
                self.training.out.display()
            );
            training.restore(&checkpoint)?;
            if rank == 0 {
                forget_later_bests(&self.training.out, checkpoint.step)?;
            }
        }
        let mut run = Run { training, is_first: rank == 0 };
        let trained = self.training.train(&mut run, ranks.map(Rc::as_ref));
        let n_left_out = n_left_out.load(Ordering::Relaxed);
        if n_left_out > 0 {
            console::note(format_args!("damaged files and clips that were left out: {n_left_out}"));
        }
        trained
    }

    /// The stream of a rank.
    fn mixture(
        &self,
        settings: &PretrainingSettings,
        layout: &TokenLayout,
        rank: usize,
        report: impl FnMut(&Damage) + Send + 'static,
    ) -> anyhow::Result<Mixture> {
        let dataset =
            |pattern: &String| Ok(DatasetSettings { name: name(pattern)?, pattern: pattern.clone(), n_samples: None });
        let datasets = self.data.iter().map(dataset).collect::<anyhow::Result<Vec<_>>>()?;
        for (index, DatasetSettings { name, .. }) in datasets.iter().enumerate() {
            ensure!(
                datasets[..index].iter().all(|other| other.name != *name),
                "two patterns of --data are of the dataset {name}\ngive one pattern for each dataset, in single quotes, because shells read braces"
            );
        }
        let data = DataSettings {
            seed: settings.seed,
            rank: rank as u64,
            n_workers: self.workers,
            n_repeats: self.repeats,
            max_damaged: self.max_damaged,
            ..DataSettings::default()
        };
        Ok(Mixture::open(&datasets, &data, &settings.sampling, layout, report)?)
    }

    /// The first clips of the training's data, to compare held-out ones with; the same on every rank.
    fn trained(&self, settings: &PretrainingSettings, layout: &TokenLayout, n: usize) -> anyhow::Result<Vec<Sample>> {
        // The training's own stream tells of the same damage.
        let mut mixture = self.mixture(settings, layout, 0, |_| ())?;
        (0..n).map(|_| Ok(mixture.next_sample()?)).collect()
    }

    fn held_out(&self, layout: &TokenLayout, seed: u64) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut left_out = LeftOut::new(self.max_damaged);
        for (index, pattern) in self.validation.iter().enumerate() {
            let set =
                ValidationSet::open(index, &pattern.parse::<SourcePattern>()?, layout, self.validation_clips, seed)?;
            for sample in set.samples() {
                match sample {
                    Ok(sample) => samples.push(sample),
                    Err(damage) => left_out.file(&damage)?,
                }
            }
        }
        let is_usable = self.validation.is_empty() || self.validation_clips == 0 || !samples.is_empty();
        ensure!(is_usable, "no held-out clip can be used\nmend the clips that the messages above name");
        Ok(samples)
    }
}

/// A training of the main model.
struct Run {
    training: Pretraining,
    /// Whether this process prints.
    is_first: bool,
}

impl Training for Run {
    fn n_steps(&self) -> u64 {
        self.training.progress().steps
    }

    fn total_steps(&self) -> u64 {
        self.training.schedule().total_steps
    }

    fn step(&mut self) -> anyhow::Result<Vec<(String, f64)>> {
        let report = self.training.step()?.context("the schedule is at its end\ndo not ask for more steps")?;
        let mut values = vec![
            (LOSS.to_owned(), report.loss),
            ("learning_rate".to_owned(), report.learning_rate),
            ("gradient_norm".to_owned(), report.gradient_norm),
            ("tokens".to_owned(), report.n_tokens as f64),
            ("tokens_per_sec".to_owned(), report.tokens_per_sec()),
        ];
        for modality in Modality::ALL {
            values.extend(report.losses[modality.index()].map(|loss| (format!("loss/{modality}"), loss)));
        }
        Ok(values)
    }

    fn evaluate(&mut self, folder: &Path) -> anyhow::Result<Vec<(String, f64)>> {
        let Some(report) = self.training.validate(Some(folder))? else { return Ok(Vec::new()) };
        let mut values = Vec::new();
        for task in &report.tasks {
            let target = task.target;
            values.push((format!("validation/{target}"), task.held_out));
            values.extend(task.trained.map(|loss| (format!("validation/{target}/trained"), loss)));
            values.extend(task.exchanged.map(|loss| (format!("validation/{target}/exchanged"), loss)));
            let heeds = task.exchanged.is_none_or(|exchanged| exchanged - task.held_out > HEEDED);
            if !heeds && self.is_first {
                console::note(format_args!(
                    "{target} from rgb does not depend on rgb so far: that of another clip does as well"
                ));
            }
            if task.overfitting && self.is_first {
                let best = task.best_step;
                console::note(format_args!(
                    "{target} from rgb overfits since step {best}, whose weights are in best-{target}"
                ));
            }
        }
        let mean = report.tasks.iter().map(|task| task.held_out).sum::<f64>() / report.tasks.len().max(1) as f64;
        values.push((VALIDATION_LOSS.to_owned(), mean));
        Ok(values)
    }

    fn checkpoint(&self) -> anyhow::Result<Checkpoint> {
        Ok(self.training.checkpoint()?)
    }

    fn next(&self, checkpoint: &Path) -> (&'static str, String) {
        let checkpoint = shell::quoted(&checkpoint.display());
        ("export the model", format!("egom2p export {checkpoint} --out onnx"))
    }
}

/// Removes the best weights of evaluations that a killed process made behind the checkpoint; they come again.
fn forget_later_bests(folder: &Path, step: u64) -> anyhow::Result<()> {
    for modality in Modality::ALL {
        for (found, path) in checkpoints(&folder.join(format!("best-{modality}")))? {
            if found > step {
                let shown = path.display();
                fs::remove_dir_all(&path).with_context(|| format!("cannot remove {shown}\nremove it by hand"))?;
            }
        }
    }
    Ok(())
}

/// The name of a pattern's dataset: the folder behind the modalities.
fn name(pattern: &str) -> anyhow::Result<String> {
    pattern.parse::<SourcePattern>()?;
    let behind = pattern.split_once("]/").or_else(|| pattern.split_once("}/"));
    let name = behind.and_then(|(_, rest)| rest.split('/').next()).filter(|name| !name.is_empty());
    let name = name.with_context(|| {
        format!("{pattern} names no dataset\nwrite it as ROOT/[rgb,cam]/NAME/token/shard-{{000000..000009}}.tar")
    })?;
    Ok(name.to_owned())
}
