//! The subcommands, one file each: what was typed, and what it does.

mod bench;
mod clips;
mod device;
mod evaluate;
mod interrupt;
mod left_out;
mod lock;
mod model;
mod pretraining;
mod progress;
mod settings;
mod shell;
mod synth;
mod tokenize;
mod tokenizer;
mod training;

use crate::console;
use clap::{Parser, Subcommand};
use egom2p_model::{Modality, Preset};
use std::process::ExitCode;

const EXAMPLE: &str = "\
From nothing to a small model; each command prints the next one:
  egom2p-train synth --preset egom2p-tiny --out clips
  egom2p-train tokenizer gaze --preset egom2p-tiny --data clips --out gaze
  egom2p-train tokenizer camera --preset egom2p-tiny --data clips --out camera
  egom2p-train tokenizer video --preset egom2p-tiny --data clips --out video
  egom2p-train tokenize --data clips --tokenizers gaze/checkpoints/STEP camera/checkpoints/STEP \\
    video/checkpoints/STEP --out tokens
  egom2p-train pretrain --preset egom2p-tiny --data PATTERNS --out model

Ctrl-C ends a training with a checkpoint; --resume goes on from there.";

/// EgoM2P from raw clips to trained weights: synthetic data, tokenizers, pretraining and post-training.
#[derive(Parser)]
#[command(name = "egom2p-train", version, propagate_version = true, after_help = EXAMPLE)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make synthetic clips with exact depth, camera poses and gaze
    Synth(synth::Args),
    /// Print the settings of a training, for a file of one's own
    Settings(settings::Args),
    /// Train a tokenizer on raw clips
    Tokenizer(tokenizer::Args),
    /// Turn raw clips into shards of tokens
    Tokenize(tokenize::Args),
    /// Train the main model on tokens from its first values on
    Pretrain(pretraining::PretrainArgs),
    /// Train the main model on tokens from stored weights on
    Posttrain(pretraining::PosttrainArgs),
    /// Measure how fast the main model trains here, and in how much memory
    Bench(bench::Args),
    /// Measure predictions for held-out clips against naive ones and against what tokens can say
    Evaluate(evaluate::Args),
}

impl Cli {
    /// Does what was typed. A command that Ctrl-C ended has the conventional exit status.
    pub(crate) fn run(self) -> ExitCode {
        let done = interrupt::watch().and_then(|()| match self.command {
            Command::Synth(args) => synth::run(&args),
            Command::Settings(args) => settings::run(&args),
            Command::Tokenizer(args) => tokenizer::run(&args),
            Command::Tokenize(args) => tokenize::run(&args),
            Command::Pretrain(args) => pretraining::pretrain(&args),
            Command::Posttrain(args) => pretraining::posttrain(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Evaluate(args) => evaluate::run(&args),
        });
        if let Err(error) = &done {
            console::fail(error);
        }
        match done {
            _ if interrupt::is_asked() => ExitCode::from(interrupt::STATUS),
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}

/// What an argument parser says of a value: one line, because clap adds its own around it.
fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().replace('\n', "; ")
}

fn preset(name: &str) -> Result<Preset, String> {
    Preset::from_name(name).map_err(|error| one_line(&error))
}

fn modality(name: &str) -> Result<Modality, String> {
    Modality::from_name(name).ok_or_else(|| format!("{name} is not a modality; use camera, depth, gaze or rgb"))
}
