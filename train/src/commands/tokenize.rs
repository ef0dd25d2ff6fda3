//! `egom2p-train tokenize`: raw clips to tokens in the published layout.

mod encoders;
mod record;
mod token_folder;

use super::clips::{ClipFolder, Dataset, folder_name};
use super::left_out::{LeftOut, MAX_DAMAGED};
use super::lock::FolderLock;
use super::{interrupt, model, shell};
use crate::console;
use anyhow::{bail, ensure};
use egom2p_model::Modality;
use egom2p_synth::Split;
use egom2p_train::data::{SHARD_SAMPLES, ShardSettings, ShardWriter, TokenLayout};
use encoders::Encoders;
use record::Record;
use serde_json::json;
use std::{collections::BTreeSet, num::NonZero, path::PathBuf};
use token_folder::TokenFolder;

const EXAMPLES: &str = "\
Examples:
  All modalities of synthetic clips, with three trained tokenizers:
    egom2p-train tokenize --data clips --out tokens --tokenizers gaze/checkpoints/step-00020000 \\
      camera/checkpoints/step-00020000 video/checkpoints/step-00100000
  Only rgb and depth, with the tokenizers of a weights folder:
    egom2p-train tokenize --data clips --out tokens --tokenizers weights --modalities rgb,depth

At the end it prints the command that trains on the tokens.";

/// `egom2p-train tokenize`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A folder of raw clips, as synth writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Weights folders or checkpoints with the tokenizers, all of one model
    #[arg(long, value_name = "WEIGHTS", required = true, num_args = 1..)]
    tokenizers: Vec<PathBuf>,
    /// The folder to write into; one that was interrupted is gone on with
    #[arg(long, value_name = "SHARDS")]
    out: PathBuf,
    /// What is tokenized [default: all that there are tokenizers for]
    #[arg(long, value_name = "MODALITIES", value_delimiter = ',', value_parser = super::modality)]
    modalities: Option<Vec<Modality>>,
    /// Samples of a shard
    #[arg(long, value_name = "N", default_value_t = SHARD_SAMPLES as u32, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    shard_samples: u32,
    /// Conventions of datasets that are neither synthetic nor of the paper, JSON
    #[arg(long, value_name = "FILE")]
    preparation: Option<PathBuf>,
    /// How many damaged clips are left out before the command fails
    #[arg(long, value_name = "N", default_value_t = MAX_DAMAGED)]
    max_damaged: usize,
    #[arg(long, value_name = "N", help = "Threads of one operation [default: OMP_NUM_THREADS, else all cores]")]
    threads: Option<NonZero<u16>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What became of a dataset.
struct Outcome {
    split: Split,
    dataset: String,
    n_samples: usize,
    n_left_out: usize,
    /// What reads it.
    pattern: String,
}

/// What is made: the tokens of a dataset in a split.
struct Job {
    split: Split,
    dataset: Dataset,
    modalities: Vec<Modality>,
}

/// Where tokens of a dataset go: training reads shards, validation reads folders.
enum Destination {
    Shards(Box<ShardWriter>),
    Folder(TokenFolder),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        tch::set_num_threads(threads.get().into());
    }
    let encoders = Encoders::open(&args.tokenizers, args.modalities.as_deref())?;
    let folder = ClipFolder::open(&args.data, encoders.config(), args.preparation.as_deref())?;
    let mut jobs = Vec::new();
    for split in Split::ALL {
        for dataset in folder.datasets(split)? {
            let modalities: Vec<Modality> =
                dataset.clips.keys().copied().filter(|modality| encoders.has(*modality)).collect();
            if !modalities.is_empty() {
                jobs.push(Job { split, dataset, modalities });
            }
        }
    }
    let data = args.data.display();
    ensure!(
        !jobs.is_empty(),
        "{data} has no clips that these tokenizers take\nname a folder with SPLIT/DATASET/MODALITY/CLIP.npz"
    );
    let _lock = FolderLock::hold(&args.out)?;
    let record = Record {
        shard_samples: args.shard_samples as usize,
        tokenizers: encoders.digests().clone(),
        preparation: folder.preparation().clone(),
        config: encoders.config().clone(),
    };
    record.enter(&args.out)?;
    let mut left_out = LeftOut::new(args.max_damaged);
    let mut outcomes = Vec::new();
    for job in &jobs {
        outcomes.push(args.tokenize(&folder, &encoders, job, &mut left_out)?);
    }
    if args.json {
        let outcome = |Outcome { split, dataset, n_samples, n_left_out, pattern }: &Outcome| json!({ "split": split.name(), "dataset": dataset, "samples": n_samples, "left_out": n_left_out, "pattern": pattern });
        return console::print_json(&outcomes.iter().map(outcome).collect::<Vec<_>>());
    }
    for Outcome { split, dataset, n_samples, n_left_out, pattern } in &outcomes {
        let left_out = if *n_left_out > 0 { format!(", left out: {n_left_out}") } else { String::new() };
        console::print(format_args!(
            "{dataset}, {}, clips: {n_samples}{left_out}\n  {}",
            split.name(),
            shell::quoted(pattern)
        ));
    }
    args.say_what_is_next(&encoders, &outcomes);
    Ok(())
}

impl Args {
    fn tokenize(
        &self,
        folder: &ClipFolder,
        encoders: &Encoders,
        job: &Job,
        left_out: &mut LeftOut,
    ) -> anyhow::Result<Outcome> {
        let Job { split, dataset, modalities } = job;
        let place = format!("{}/{}", split.name(), dataset.name);
        let mut destination = self.destination(job, &TokenLayout::new(encoders.config()))?;
        let names: BTreeSet<&String> = modalities.iter().flat_map(|modality| &dataset.clips[modality]).collect();
        let bar = console::progress(names.len() as u64);
        bar.set_message(place.clone());
        let n_left_out = left_out.len();
        for &clip in &names {
            if interrupt::is_asked() {
                bar.finish_and_clear();
                bail!("stopped in {place}\nrun the command again: it goes on behind what is whole");
            }
            if !destination.contains(clip) {
                match tokens(folder, encoders, job, clip) {
                    Ok(tokens) => destination.append(clip, &tokens)?,
                    Err(error) => left_out.clip(&format!("{place}/{clip}"), &error)?,
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        destination.finish()?;
        let n_left_out = left_out.len() - n_left_out;
        let n_samples = names.len() - n_left_out;
        ensure!(n_samples > 0, "no clip of {place} can be used\nmend the clips that the messages above name");
        let pattern = self.pattern(job, n_samples);
        Ok(Outcome { split: *split, dataset: dataset.name.clone(), n_samples, n_left_out, pattern })
    }

    fn destination(&self, job: &Job, layout: &TokenLayout) -> anyhow::Result<Destination> {
        let (root, dataset) = (self.out.join(job.split.name()), &job.dataset.name);
        Ok(match job.split {
            Split::Training => {
                let (dataset, modalities) = (dataset.clone(), job.modalities.clone());
                let settings = ShardSettings { root, dataset, modalities, n_samples: self.shard_samples as usize };
                Destination::Shards(Box::new(ShardWriter::open(settings, layout)?))
            }
            Split::Validation => Destination::Folder(TokenFolder::open(&root, dataset, &job.modalities, layout)?),
        })
    }

    /// What a training is to be told of these tokens.
    fn pattern(&self, job: &Job, n_samples: usize) -> String {
        let folders: Vec<&str> = job.modalities.iter().map(|modality| folder_name(*modality)).collect();
        let (root, folders) = (self.out.join(job.split.name()), folders.join(","));
        let files = match (job.split, n_samples.div_ceil(self.shard_samples as usize)) {
            (Split::Validation, _) => "*.npz".to_owned(),
            (Split::Training, 1) => "token/shard-000000.tar".to_owned(),
            (Split::Training, n_shards) => format!("token/shard-{{000000..{:06}}}.tar", n_shards - 1),
        };
        format!("{}/[{folders}]/{}/{files}", root.display(), job.dataset.name)
    }

    /// The command that trains on these tokens.
    fn say_what_is_next(&self, encoders: &Encoders, outcomes: &[Outcome]) {
        let patterns = |option: &str, split: Split| {
            let of_split = outcomes.iter().filter(|outcome| outcome.split == split);
            let patterns: Vec<String> = of_split.map(|outcome| shell::quoted(&outcome.pattern)).collect();
            if patterns.is_empty() { String::new() } else { format!(" --{option} {}", patterns.join(" ")) }
        };
        let (data, validation) = (patterns("data", Split::Training), patterns("validation", Split::Validation));
        if !data.is_empty() {
            let model = model::option(encoders.config(), &self.tokenizers[0]);
            console::next(
                "train the main model",
                &[format!("egom2p-train pretrain{model}{data}{validation} --out model")],
            );
        }
    }
}

impl Destination {
    fn contains(&self, clip: &str) -> bool {
        match self {
            Self::Shards(writer) => writer.contains(clip),
            Self::Folder(folder) => folder.contains(clip),
        }
    }

    fn append(&mut self, clip: &str, tokens: &[Option<Vec<i64>>; 4]) -> anyhow::Result<()> {
        match self {
            Self::Shards(writer) => Ok(writer.append(clip, tokens)?),
            Self::Folder(folder) => folder.append(clip, tokens),
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Shards(writer) => Ok(writer.finish()?),
            Self::Folder(_) => Ok(()),
        }
    }
}

/// The tokens of a clip in all modalities.
fn tokens(folder: &ClipFolder, encoders: &Encoders, job: &Job, clip: &str) -> anyhow::Result<[Option<Vec<i64>>; 4]> {
    let mut tokens = [const { None }; 4];
    for &modality in &job.modalities {
        let input = folder.input(&job.dataset, modality, clip)?;
        tokens[modality.index()] = Some(encoders.encode(modality, &input, &folder.input_shape(modality))?);
    }
    Ok(tokens)
}
