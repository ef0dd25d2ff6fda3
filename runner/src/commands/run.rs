//! `egom2p run`: predictions for one clip, one video or many.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use egom2p::{
    clips::{Clip, TokensFile, VideoClips, videos},
    engine_stages::EngineStages,
    generation::{GenerationSettings, ModalityTokens, n_steps},
    io::{OutputFolder, read_token_file},
    pipeline::{Given, predict},
    predictions::{token_shape, write_predictions},
    run_report,
    video::VideoProgram,
};
use egom2p_model::{Modality, ModelConfig, Stage};
use serde_json::json;

use super::{decoding::DecodingArgs, engines::EngineArgs, video::VideoArgs};
use crate::console;

/// `egom2p run`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("source").args(["input", "tokens"]).required(true).multiple(true)))]
pub(crate) struct Args {
    /// The bundle to run
    bundle: PathBuf,
    /// A video, a folder of videos or a quoted pattern
    #[arg(long, value_name = "PATH")]
    input: Option<String>,
    /// What is predicted, decoded in the order given
    #[arg(long, value_name = "MODALITIES", value_delimiter = ',', required = true, value_parser = super::modality)]
    to: Vec<Modality>,
    /// What the input video shows: rgb or depth
    #[arg(long, value_name = "MODALITY", default_value = "rgb", value_parser = video_modality)]
    from: Modality,
    /// Tokens of a modality (.npz, .npy or .safetensors) in place of --input or beside it
    #[arg(long, value_name = "MODALITY=FILE", value_parser = super::tokens_file)]
    tokens: Vec<TokensFile>,
    /// The folder to write into; several clips get a folder each below it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    video: VideoArgs,
    #[command(flatten)]
    engines: EngineArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let stages = args.engines.open(&args.bundle)?;
    let config = super::bundle_config(stages.bundle())?;
    let settings = args.decoding.settings(&args.to, args.engines.n_threads());
    stages.require(args.stages())?;
    let needs_program = args.input.is_some() || args.to.iter().any(|modality| modality.is_video());
    let program = if needs_program { Some(VideoProgram::find()?) } else { None };
    let tokens = args.tokens.iter().map(|file| read_tokens(&config, file)).collect::<anyhow::Result<_>>()?;
    let n_steps = n_steps(&config, &settings)?;
    let mut job = Job { args, stages, config, settings, n_steps, program, tokens };
    match &args.input {
        None => job.clip(None, &args.out),
        Some(input) => job.videos(&videos(input)?),
    }
}

/// Everything that stays the same from clip to clip.
struct Job<'a> {
    args: &'a Args,
    stages: EngineStages,
    config: ModelConfig,
    settings: GenerationSettings,
    n_steps: usize,
    program: Option<VideoProgram>,
    tokens: Vec<ModalityTokens>,
}

impl Job<'_> {
    /// Every video; one that fails does not stop the others.
    fn videos(&mut self, videos: &[PathBuf]) -> anyhow::Result<()> {
        if let [video] = videos {
            return self.video(video, &self.args.out);
        }
        let mut failed = Vec::new();
        for video in videos {
            let name = video.file_stem().unwrap_or_default();
            if let Err(error) = self.video(video, &self.args.out.join(name)) {
                console::fail(&error);
                failed.push(video.display().to_string());
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        bail!(
            "{} of {} videos failed: {}\nthe messages above say why; the others are done",
            failed.len(),
            videos.len(),
            failed.join(", ")
        )
    }

    /// Every full clip of a video: into `out` itself where there is one, else into a folder each.
    fn video(&mut self, path: &Path, out: &Path) -> anyhow::Result<()> {
        let program = self.program.as_ref().context("no video program")?;
        let options = self.args.video.read_options(&self.config);
        let mut clips = VideoClips::open(program, path, &options, &self.config)?;
        let Some(first) = clips.next().transpose()? else { return Ok(()) };
        let second = clips.next().transpose()?;
        if second.is_none() {
            self.clip(Some((path, &first)), out)?;
        } else {
            for clip in [Ok(first)].into_iter().chain(second.map(Ok)).chain(&mut clips) {
                let clip = clip?;
                let folder = out.join(format!("clip-{:04}", clip.index));
                self.clip(Some((path, &clip)), &folder)?;
            }
        }
        if clips.left_over() > 0 {
            let shown = path.display();
            console::note(format_args!(
                "{shown}: the last {} frames do not fill a clip and were left out",
                clips.left_over()
            ));
        }
        Ok(())
    }

    fn clip(&mut self, clip: Option<(&Path, &Clip)>, out: &Path) -> anyhow::Result<()> {
        let folder = OutputFolder::new(out)?;
        let given =
            Given { video: clip.map(|(_, clip)| (self.args.from, clip.frames.clone())), tokens: self.tokens.clone() };
        let bar = console::progress(self.n_steps as u64, out.display().to_string());
        let prediction = predict(&mut self.stages, &self.config, given, &self.settings, &mut |_| bar.inc(1))?;
        bar.finish_and_clear();
        let manifest = self.stages.bundle().manifest();
        let input = clip.map(|(path, clip)| {
            json!({ "file": path.display().to_string(), "clip": clip.index, "start_secs": clip.start_secs, "fps": self.args.video.fps() })
        });
        let token_files: Vec<_> = self
            .args
            .tokens
            .iter()
            .map(|file| json!({ "modality": file.modality.name(), "file": file.path.display().to_string() }))
            .collect();
        let report = json!({
            "schema": run_report::RUN_SCHEMA,
            "versions": { "egom2p": env!("CARGO_PKG_VERSION"), "libraries": self.libraries() },
            "bundle": { "preset": manifest.preset, "weights": self.weights() },
            "input": { "from": self.args.from.name(), "video": input, "tokens": token_files },
            "settings": run_report::settings(&self.settings),
            "threads": self.settings.n_threads,
            "secs": run_report::secs(&prediction),
            "engines": run_report::engines(&self.stages.take_timings()),
            "peak_memory_bytes": run_report::peak_memory_bytes(),
            "steps": run_report::steps(&prediction),
        });
        let fps = self.args.video.fps();
        let written = write_predictions(folder, &self.config, &prediction, &report, self.program.as_ref(), fps)?;
        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        let secs = prediction.secs.tokenize + prediction.secs.generate + prediction.secs.detokenize;
        console::print(format_args!("{}: {} ({secs:.1} s)", out.display(), names.join(" ")));
        Ok(())
    }

    /// Versions of the libraries that the engines were built with.
    fn libraries(&self) -> serde_json::Value {
        let variants = self.stages.bundle().manifest().stages.values().flat_map(|variants| variants.values());
        json!(variants.flat_map(|variant| variant.libraries.clone()).collect::<std::collections::BTreeMap<_, _>>())
    }

    /// Digests of the weights files of the bundle.
    fn weights(&self) -> serde_json::Value {
        let files = &self.stages.bundle().manifest().files;
        let weights =
            files.iter().filter(|(path, _)| path.as_str().starts_with("onnx/") && path.as_str().ends_with(".weights"));
        json!(
            weights
                .map(|(path, entry)| (path.file_name().to_owned(), entry.blake3))
                .collect::<std::collections::BTreeMap<_, _>>()
        )
    }
}

impl Args {
    /// The stages that this run needs.
    fn stages(&self) -> Vec<Stage> {
        let tokenizer = self.input.as_ref().map(|_| Stage::tokenizer(self.from));
        let targets = self.to.iter().flat_map(|&modality| [Stage::head(modality), Stage::detokenizer(modality)]);
        tokenizer.into_iter().chain([Stage::Encoder, Stage::Decoder]).chain(targets).collect()
    }
}

/// The tokens in a file, which must be those of a clip.
pub(super) fn read_tokens(config: &ModelConfig, file: &TokensFile) -> anyhow::Result<ModalityTokens> {
    let TokensFile { modality, path } = file;
    let shape = token_shape(config, *modality);
    let array = read_token_file(path, modality.name(), &shape, config.vocabulary(*modality))?;
    Ok(ModalityTokens { modality: *modality, tokens: array.tokens })
}

fn video_modality(name: &str) -> Result<Modality, String> {
    super::modality(name).and_then(|modality| {
        if modality.is_video() {
            Ok(modality)
        } else {
            Err(format!("a video shows rgb or depth, not {name}; pass tokens of {name} with --tokens"))
        }
    })
}
