//! The subcommands, one file each: what was typed, and what it does.

mod bench;
mod build;
mod clean_up;
mod compare;
mod decoding;
mod doctor;
mod engines;
mod export;
mod gpu_check;
mod import;
mod inspect;
mod run;
mod stage;
mod video;
mod weights;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use egom2p::clips::TokensFile;
use egom2p_calibration::Precision;
use egom2p_engines::Bundle;
use egom2p_model::{Modality, ModelConfig, Preset, Stage, weights::WeightsPart};

/// EgoM2P from checkpoints to predictions: ONNX export, engines, and a runner for egocentric video.
#[derive(Parser)]
#[command(name = "egom2p", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Predict camera, depth, gaze or RGB from a video or from tokens
    Run(run::Args),
    /// Import published checkpoints into a weights folder
    Import(import::Args),
    /// Make weights from a rule
    Weights(weights::Args),
    /// Export a weights folder to ONNX
    Export(export::Args),
    /// Build engines from exported ONNX
    Build(build::Args),
    /// Measure a bundle on this machine: every engine, whole clips, and the machine itself
    Bench(bench::Args),
    /// Hold a bundle against results of the processor, and then measure it
    GpuCheck(gpu_check::Args),
    /// Run one stage on tensors from a file
    Stage(stage::Args),
    /// Compare two files of tensors or the outputs of two runs
    Compare(compare::Args),
    /// Say what a file or folder is
    Inspect(inspect::Args),
    /// Say what this machine has and what follows
    Doctor(doctor::Args),
    #[command(hide = true)]
    CleanUp(clean_up::Args),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if !matches!(self.command, Command::CleanUp(_)) {
            clean_up::on_interrupt()?;
        }
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Weights(args) => weights::run(&args),
            Command::Export(args) => export::run(&args),
            Command::Build(args) => build::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::GpuCheck(args) => gpu_check::run(&args),
            Command::Stage(args) => stage::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::CleanUp(args) => clean_up::run(&args),
        }
    }
}

/// The sizes of the model that a bundle was made from.
fn bundle_config(bundle: &Bundle) -> anyhow::Result<ModelConfig> {
    let config: ModelConfig = serde_json::from_value(bundle.manifest().config.clone()).with_context(|| {
        format!("the config of bundle {} cannot be read\nbuild the bundle again", bundle.folder().display())
    })?;
    config.validate()?;
    Ok(config)
}

/// What an argument parser says of a value: one line, because clap adds its own around it.
fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().replace('\n', "; ")
}

fn preset(name: &str) -> Result<Preset, String> {
    Preset::from_name(name).map_err(|error| one_line(&error))
}

fn stage(name: &str) -> Result<Stage, String> {
    Stage::from_name(name).map_err(|error| one_line(&error))
}

fn precision(name: &str) -> Result<Precision, String> {
    name.parse().map_err(|error| one_line(&error))
}

fn modality(name: &str) -> Result<Modality, String> {
    Modality::from_name(name).ok_or_else(|| format!("{name} is not a modality; use camera, depth, gaze or rgb"))
}

/// The name of a part of the weights: its file's without the extension.
fn part_name(part: WeightsPart) -> &'static str {
    part.file_name().trim_end_matches(".safetensors")
}

fn part(name: &str) -> Result<WeightsPart, String> {
    let part = WeightsPart::ALL.into_iter().find(|part| part_name(*part) == name);
    part.ok_or_else(|| format!("{name} is not a part of the weights; use model, camera, gaze or video"))
}

fn tokens_file(text: &str) -> Result<TokensFile, String> {
    let (name, path) = text.split_once('=').ok_or("expected MODALITY=FILE, such as rgb=tokens.npz")?;
    Ok(TokensFile { modality: modality(name)?, path: path.into() })
}
