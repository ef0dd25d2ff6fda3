//! `egom2p run`: predictions for one clip, one video or many.

mod feed;
mod job;
mod outcome;
mod predictor;

use std::{num::NonZeroUsize, path::PathBuf};

use egom2p::{
    clips::{TokensFile, videos},
    device_pipeline::DevicePlan,
    device_workers::share_work,
    engine_stages::require,
    generation::{ModalityTokens, n_steps},
    io::read_token_file,
    predictions::token_shape,
    video::VideoProgram,
};
use egom2p_engines::Bundle;
use egom2p_model::{Modality, ModelConfig, Stage};

use self::{
    feed::Feed,
    job::{Facts, Job},
    outcome::Outcome,
    predictor::{GpuChoice, Predictor},
};
use super::{decoding::DecodingArgs, engines::EngineArgs, video::VideoArgs};
use crate::console::Bars;

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
    /// Which GPU runs a bundle for GPUs, counted from 0 [default: 0]
    #[arg(long, value_name = "N")]
    gpu: Option<usize>,
    /// Clips that a GPU decodes together; the bundle's profiles must allow as many [default: 1]
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// Batches that a GPU decodes at the same time, each with memory of its own [default: 1]
    #[arg(long, value_name = "N")]
    streams: Option<NonZeroUsize>,
    #[command(flatten)]
    decoding: DecodingArgs,
    #[command(flatten)]
    video: VideoArgs,
    #[command(flatten)]
    engines: EngineArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&args.bundle, args.engines.backend_options())?;
    let config = super::bundle_config(&bundle)?;
    let settings = args.decoding.settings(&args.to, args.engines.n_threads());
    require(&bundle, args.stages())?;
    let needs_program = args.input.is_some() || args.to.iter().any(|modality| modality.is_video());
    let program = if needs_program { Some(VideoProgram::find()?) } else { None };
    let tokens = args.tokens.iter().map(|file| read_tokens(&config, file)).collect::<anyhow::Result<Vec<_>>>()?;
    let n_steps = n_steps(&config, &settings)?;
    let plan = DevicePlan {
        given: tokens.iter().map(|tokens| tokens.modality).collect(),
        video: args.input.as_ref().map(|_| args.from),
        batch: NonZeroUsize::MIN,
        detokenize: true,
    };
    let gpu = GpuChoice { ordinal: args.gpu, batch: args.batch, streams: args.streams };
    let engines = (&*args.stages(), args.engines.session_options());
    let mut predictors = Predictor::open(bundle, &config, &settings, (plan, &gpu), engines)?;
    let videos = args.input.as_ref().map(|input| videos(input)).transpose()?;
    let job = Job {
        args,
        facts: Facts::of(&predictors[0]),
        config,
        settings,
        n_steps,
        program,
        tokens,
        bars: Bars::new(),
        outcome: Outcome::new(videos.as_deref().unwrap_or_default()),
    };
    let batch = predictors[0].batch();
    let fed = share_work(
        &mut predictors,
        |predictor, batch| job.batch(predictor, batch),
        |put| {
            let mut feed = Feed::new(&job, batch, put);
            match &videos {
                None => feed.tokens(),
                Some(videos) => feed.videos(videos),
            }
        },
    );
    job.outcome.finish(fed)
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
