//! `egom2p-train evaluate`: predictions for held-out clips against the clips themselves.

mod decoding;
mod engines;
mod evaluation;
mod truth;

use super::clips::{ClipFolder, Dataset};
use super::interrupt;
use crate::console;
use anyhow::{Context as _, bail, ensure};
use decoding::DecodingArgs;
use egom2p::io::write_atomically;
use egom2p_model::Modality;
use egom2p_synth::Split;
use egom2p_train::evaluation::{Baselines, ErrorTable, TrainingMeans};
use engines::{EngineArgs, Engines};
use evaluation::Evaluation;
use serde_json::{Value, json};
use std::{
    io::Write as _,
    num::NonZero,
    path::{Path, PathBuf},
    time::Instant,
};
use truth::Truths;

/// What stands under the tables.
const LEGEND: &str = "\
Means over clips and their standard errors. Every target is compared with the clip itself: after its tokenizer and back
(quantisation), as the model predicts it from rgb (prediction), and as who has only seen the training split would (naive).
ATE: positions relative to the first pose, after the best rotation, neither translation nor scale aligned. AbsRel, RMSE and
delta1: depth in metres, 1 / (low + v (high - low)) with the clip's own range of inverse depth for all rows alike; aligned:
after a least-squares fit of scale and shift of inverse depth, for all rows alike. MSE and MAE: valid samples, coordinates of
the crop from 0 to 1. L1 and PSNR: pixel values from 0 to 1.
";

/// `egom2p-train evaluate`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle of engines to evaluate
    bundle: PathBuf,
    /// A folder of raw clips, as synth writes it; naive predictions are the means of its training split
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The clips that are predicted: train or val
    #[arg(long, value_name = "SPLIT", default_value = "val", value_parser = split)]
    split: Split,
    /// Clips of every dataset at the most [default: all]
    #[arg(long, value_name = "N")]
    clips: Option<NonZero<usize>>,
    /// What is predicted from rgb
    #[arg(long, value_name = "MODALITIES", value_delimiter = ',', default_value = "camera,depth,gaze", value_parser = target)]
    to: Vec<Modality>,
    /// Training clips of every modality that naive predictions are made from, at the most
    #[arg(long, value_name = "N", default_value = "2000")]
    baseline_clips: NonZero<usize>,
    /// Conventions of datasets that are neither synthetic nor of the paper, JSON
    #[arg(long, value_name = "FILE")]
    preparation: Option<PathBuf>,
    /// Write the tables into a Markdown file as well
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
    /// Print one JSON object in place of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    engines: EngineArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let started = Instant::now();
    if let Some(out) = &args.out {
        check_writable(out)?;
    }
    let mut engines = Engines::open(&args.bundle, &args.engines, &args.decoding, &args.to)?;
    let folder = ClipFolder::open(&args.data, engines.config(), args.preparation.as_deref())?;
    let truths = Truths::new(&folder, engines.config(), &args.data);
    let datasets = args.datasets(&folder)?;
    let baselines = args.baselines(&folder, &truths)?;
    let n_planned: usize = datasets.iter().map(|dataset| args.names(dataset).len()).sum();
    let bar = console::progress(n_planned as u64);
    let mut evaluation = Evaluation::new(baselines);
    let (mut n_done, mut n_skipped) = (0, 0);
    for dataset in &datasets {
        bar.set_message(dataset.name.clone());
        let targets: Vec<Modality> =
            args.to.iter().copied().filter(|target| dataset.clips.contains_key(target)).collect();
        for clip in args.names(dataset) {
            if interrupt::is_asked() {
                bar.finish_and_clear();
                bail!("stopped after {n_done} of {n_planned} clips\nrun again, or with fewer --clips");
            }
            match truths.read(args.split, dataset, clip, &targets) {
                Ok(truth) => evaluation
                    .add(&mut engines, &dataset.name, &truth)
                    .with_context(|| format!("{clip} of {}", dataset.name))?,
                Err(error) => {
                    n_skipped += 1;
                    let what = format!("{error:#}");
                    let what = what.lines().next().unwrap_or_default();
                    console::note(format_args!("{clip} of {} is left out: {what}", dataset.name));
                }
            }
            n_done += 1;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let n_clips = n_planned - n_skipped;
    ensure!(n_clips > 0, "no clip of {} can be used\nlook at the messages above", args.data.display());
    args.report(&evaluation.table, n_clips, n_skipped, started.elapsed().as_secs_f64())
}

impl Args {
    /// The datasets with colour and something to predict. Fails where a target is in none of them.
    fn datasets(&self, folder: &ClipFolder) -> anyhow::Result<Vec<Dataset>> {
        let mut datasets = folder.datasets(self.split)?;
        let has =
            |dataset: &Dataset, modality: Modality| dataset.clips.get(&modality).is_some_and(|clips| !clips.is_empty());
        datasets.retain(|dataset| has(dataset, Modality::Rgb) && self.to.iter().any(|target| has(dataset, *target)));
        for target in &self.to {
            ensure!(
                datasets.iter().any(|dataset| has(dataset, *target)),
                "{} has no clips in {} with rgb and {target}\nname a folder with SPLIT/DATASET/MODALITY/CLIP.npz",
                self.data.display(),
                self.split.name()
            );
        }
        Ok(datasets)
    }

    /// The names of the clips of a dataset that are predicted.
    fn names<'a>(&self, dataset: &'a Dataset) -> &'a [String] {
        let names = dataset.clips.get(&Modality::Rgb).map_or(&[][..], Vec::as_slice);
        &names[..names.len().min(self.clips.map_or(usize::MAX, NonZero::get))]
    }

    /// The means of the training split, over clips that are evenly spread over its datasets.
    fn baselines(&self, folder: &ClipFolder, truths: &Truths<'_>) -> anyhow::Result<Baselines> {
        let mut means = TrainingMeans::default();
        let datasets = folder.datasets(Split::Training)?;
        for target in [Modality::Depth, Modality::Gaze].into_iter().filter(|target| self.to.contains(target)) {
            let clips: Vec<(&Dataset, &String)> = datasets
                .iter()
                .flat_map(|dataset| dataset.clips.get(&target).into_iter().flatten().map(move |clip| (dataset, clip)))
                .collect();
            let stride = clips.len().div_ceil(self.baseline_clips.get()).max(1);
            for (dataset, clip) in clips.into_iter().step_by(stride) {
                ensure!(
                    !interrupt::is_asked(),
                    "stopped before the first clip\nrun again, or with fewer --baseline-clips"
                );
                if target == Modality::Depth {
                    means.push_depth(&truths.depth_video(dataset, clip)?)?;
                } else {
                    means.push_gaze(&truths.gaze(dataset, clip)?.0);
                }
            }
        }
        let baselines = means.finish();
        for (target, is_there) in
            [(Modality::Depth, baselines.depth.is_some()), (Modality::Gaze, baselines.gaze.is_some())]
        {
            ensure!(
                is_there || !self.to.contains(&target),
                "{} has no {target} in its training split\nnaive predictions are its means: add it, or leave {target} out of --to",
                self.data.display()
            );
        }
        Ok(baselines)
    }

    fn report(&self, table: &ErrorTable, n_clips: usize, n_skipped: usize, secs: f64) -> anyhow::Result<()> {
        let secs_per_clip = secs / n_clips as f64;
        let title = format!(
            "# {} on {} clips of {}, {}\n\n{}. {secs_per_clip:.2} s per clip{}.\n",
            name(&self.bundle),
            n_clips,
            name(&self.data),
            self.split.name(),
            self.decoding,
            if n_skipped > 0 { format!(", {n_skipped} clips left out") } else { String::new() },
        );
        let text = format!("{title}\n{}\n{LEGEND}", table.markdown());
        if let Some(out) = &self.out {
            write_atomically(out, |file| file.write_all(text.as_bytes()))?;
        }
        if self.json {
            return console::print_json(&self.json(table, n_clips, n_skipped, secs));
        }
        console::print(text.trim_end());
        Ok(())
    }

    fn json(&self, table: &ErrorTable, n_clips: usize, n_skipped: usize, secs: f64) -> Value {
        json!({
            "bundle": self.bundle,
            "data": self.data,
            "split": self.split.name(),
            "clips": n_clips,
            "skipped": n_skipped,
            "baseline_clips": self.baseline_clips,
            "decoding": self.decoding.json(&self.to),
            "secs": secs,
            "errors": table.json(),
        })
    }
}

/// Fails where a file cannot come to lie, before hours are spent on it.
fn check_writable(out: &Path) -> anyhow::Result<()> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(
        parent.is_dir() && !out.is_dir(),
        "{} cannot be written\nname a file in a folder that is there",
        out.display()
    );
    Ok(())
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn split(name: &str) -> Result<Split, String> {
    let found = Split::ALL.into_iter().find(|split| split.name() == name);
    found.ok_or_else(|| format!("{name} is not a split; use train or val"))
}

fn target(name: &str) -> Result<Modality, String> {
    match super::modality(name)? {
        Modality::Rgb => Err("rgb is what predictions are made from; use camera, depth or gaze".to_owned()),
        target => Ok(target),
    }
}
