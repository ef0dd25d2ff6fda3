use super::decoding::DecodingArgs;
use anyhow::{Context as _, ensure};
use egom2p::engine_stages::EngineStages;
use egom2p::frames::Frames;
use egom2p::generation::GenerationSettings;
use egom2p::pipeline::{Given, Prediction, predict};
use egom2p::stages::Stages as _;
use egom2p::tokenizer::{DecodedVideo, detokenize_motion, detokenize_video, tokenize_video};
use egom2p_engine_core::{Device, SessionOptions, Tensor};
use egom2p_engines::{BackendOptions, Bundle};
use egom2p_model::{Modality, ModelConfig, Stage};
use std::{
    collections::BTreeSet,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

/// How engines run.
#[derive(clap::Args)]
#[command(next_help_heading = "Engines")]
pub(super) struct EngineArgs {
    /// Threads of the engines and the sampler [default: the machine's cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<u16>>,
    /// The ONNX Runtime library [default: `$ORT_DYLIB_PATH`, beside the program, or what `cargo xtask setup` fetched]
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

/// The stages of a bundle that an evaluation needs, on the processor.
pub(super) struct Engines {
    stages: EngineStages,
    config: ModelConfig,
    settings: GenerationSettings,
}

impl EngineArgs {
    fn n_threads(&self) -> NonZero<usize> {
        let typed = self.threads.map(NonZero::<usize>::from);
        typed.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN)
    }
}

impl Engines {
    /// Opens a bundle. Fails where it lacks what predicting, encoding and decoding the targets takes.
    pub(super) fn open(
        path: &Path,
        args: &EngineArgs,
        decoding: &DecodingArgs,
        targets: &[Modality],
    ) -> anyhow::Result<Self> {
        let options = BackendOptions { onnxruntime_library: args.onnxruntime.clone(), ..BackendOptions::default() };
        let bundle = Bundle::open(path, options)?;
        let config: ModelConfig = serde_json::from_value(bundle.manifest().config.clone()).with_context(|| {
            format!("the config of bundle {} cannot be read\nbuild the bundle again", path.display())
        })?;
        config.validate()?;
        for variants in bundle.manifest().stages.values() {
            ensure!(
                variants.values().all(|variant| variant.device == Device::Cpu),
                "{} has engines for a GPU\nevaluate a bundle that \"egom2p build --device cpu\" made",
                path.display()
            );
        }
        // Sessions with prepacked weights stay for all clips.
        let session = SessionOptions { threads: Some(args.n_threads()), prepack: true, ..SessionOptions::default() };
        let stages = EngineStages::new(bundle, session);
        let tokenizers = |modality: Modality| [Stage::tokenizer(modality), Stage::detokenizer(modality)];
        let mut needed = BTreeSet::from([Stage::Encoder, Stage::Decoder]);
        needed.extend(tokenizers(Modality::Rgb));
        needed.extend(targets.iter().flat_map(|target| tokenizers(*target)));
        needed.extend(targets.iter().map(|target| Stage::head(*target)));
        stages.require(needed)?;
        let settings = decoding.settings(targets, args.n_threads());
        Ok(Self { stages, config, settings })
    }

    /// The sizes of the model.
    pub(super) fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the model predicts from colour: those of the evaluation's targets that are wanted.
    pub(super) fn predict(&mut self, rgb: Frames, wanted: &[Modality]) -> anyhow::Result<Prediction> {
        let mut settings = self.settings.clone();
        settings.targets.retain(|target| wanted.contains(&target.modality));
        let given = Given { video: Some((Modality::Rgb, rgb)), tokens: Vec::new() };
        Ok(predict(&mut self.stages, &self.config, given, &settings, &mut |_| {})?)
    }

    /// Frames as their tokens describe them.
    pub(super) fn through_tokens(&mut self, frames: &Frames) -> anyhow::Result<DecodedVideo> {
        let tokens = tokenize_video(&mut self.stages, &self.config, frames)?;
        self.video(&tokens)
    }

    /// The video that tokens describe.
    pub(super) fn video(&mut self, tokens: &[i64]) -> anyhow::Result<DecodedVideo> {
        Ok(detokenize_video(&mut self.stages, &self.config, tokens)?)
    }

    /// A camera or gaze clip as its tokens describe it, normalised: `[samples, channels]`. `input` is what its tokenizer
    /// takes.
    pub(super) fn motion_through_tokens(&mut self, modality: Modality, input: &[f32]) -> anyhow::Result<Vec<f32>> {
        let n_samples = self.config.motion.samples;
        let input = Tensor::f32([1, n_samples, input.len() / n_samples.max(1)], input.to_vec())?;
        let tokens = self.stages.run_one(Stage::tokenizer(modality), &[(modality.name(), &input)])?.into_i64()?;
        Ok(detokenize_motion(&mut self.stages, &self.config, modality, &tokens)?)
    }
}
