//! `egom2p-train synth`: synthetic clips.

use super::lock::FolderLock;
use super::model::ModelArgs;
use super::{interrupt, shell};
use crate::console;
use egom2p_synth::{Rooms, Settings, Split, write_dataset};
use serde_json::json;
use std::{num::NonZero, ops::ControlFlow, path::PathBuf, thread};

const EXAMPLES: &str = "\
Examples:
  Clips for a small model, enough to try everything out:
    egom2p-train synth --preset egom2p-tiny --out clips --clips 200
  Many more, in the background, on 8 cores; after an interruption the same command goes on:
    nohup egom2p-train synth --out clips --clips 100000 --seed 1 --threads 8 &";

/// `egom2p-train synth`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder to write into; one that was interrupted is gone on with
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Clips for training; a tenth comes on top for validation
    #[arg(long, value_name = "N", default_value_t = 1000)]
    clips: usize,
    /// What the rooms are like: many kinds of furniture and textures, or bare and dark ones with a lamp on the head, from
    /// which a small model learns sooner
    #[arg(long, value_enum, default_value_t = RoomsName::Furnished)]
    rooms: RoomsName,
    /// What the clips follow from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads that make clips [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum RoomsName {
    Furnished,
    Dark,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let rooms = match args.rooms {
        RoomsName::Furnished => Rooms::Furnished,
        RoomsName::Dark => Rooms::Dark,
    };
    let settings = Settings { rooms, ..Settings::for_model(&args.model.config()?, args.seed, args.clips) };
    let n_threads = args.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    settings.validate()?;
    let _lock = FolderLock::hold(&args.out)?;
    let bar = console::progress(0);
    let mut n_kept = 0;
    let written = write_dataset(&settings, &args.out, n_threads, |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        n_kept = progress.kept;
        if interrupt::is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    written?;
    if args.json {
        let dataset = |dataset: &egom2p_synth::DatasetSettings| json!({ "name": dataset.name, "training": dataset.training_clips, "validation": dataset.validation_clips });
        let datasets: Vec<_> = settings.datasets.iter().map(dataset).collect();
        return console::print_json(&json!({ "folder": args.out, "kept": n_kept, "datasets": datasets }));
    }
    for dataset in &settings.datasets {
        let [training, validation] = Split::ALL.map(|split| dataset.n_clips(split));
        let modalities: Vec<&str> = dataset.modalities.iter().map(|modality| modality.name()).collect();
        console::print(format_args!(
            "{}: {training} clips for training, {validation} for validation, {}",
            dataset.name,
            modalities.join(" ")
        ));
    }
    if n_kept > 0 {
        console::note(format_args!("{n_kept} clips were there already"));
    }
    let (model, data) = (args.model.option(), shell::quoted(&args.out.display()));
    let tokenizer = |name: &str| format!("egom2p-train tokenizer {name}{model} --data {data} --out {name}");
    console::next("train the tokenizers", &["gaze", "camera", "video"].map(tokenizer));
    Ok(())
}
