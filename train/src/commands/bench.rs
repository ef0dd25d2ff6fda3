//! `egom2p-train bench`: how fast the main model trains on this machine, and in how much memory.

use super::device::{DeviceName, device};
use super::interrupt;
use super::model::ModelArgs;
use crate::console;
use anyhow::{Context as _, ensure};
use egom2p::run_report::peak_memory_bytes;
use egom2p_calibration::Precision;
use egom2p_model::weights::WeightsPart;
use egom2p_model::{Modality, ModelConfig, WeightsFolder};
use egom2p_train::{AdamW, Batch, BatchRow, Initial, Network, PretrainingSettings, Selection};
use serde_json::json;
use std::{num::NonZero, path::PathBuf, time::Instant};
use tch::Device;

const EXAMPLES: &str = "\
Examples:
  The published model, one sample at a time:
    egom2p-train bench
  Whether four samples fit where blocks are computed twice:
    egom2p-train bench --samples-per-pass 4 --checkpointing
  Exactly what the PyTorch peer in tests/peer/training.py computes:
    egom2p weights reproducible --preset egom2p-tiny --out weights
    egom2p-train bench --weights weights --threads 1 --json

Every even position of a clip is visible and every odd one asked for, up to the published budgets; ids follow from positions.";

/// `egom2p-train bench`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A weights folder to start from [default: what a pretraining starts from]
    #[arg(long, value_name = "WEIGHTS", conflicts_with_all = ["preset", "config"])]
    weights: Option<PathBuf>,
    /// Samples that go through the model at the same time
    #[arg(long, value_name = "N", default_value = "1")]
    samples_per_pass: NonZero<u16>,
    /// Timed steps, after one that is not
    #[arg(long, value_name = "N", default_value = "3")]
    steps: NonZero<u16>,
    /// What products are computed in: fp32, fp16 or bf16
    #[arg(long, value_name = "PRECISION", default_value = "fp32", value_parser = precision)]
    precision: Precision,
    /// Keep nothing of a block for the backward pass but what crosses its border, and compute the block again there
    #[arg(long)]
    checkpointing: bool,
    /// Where to compute: cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    device: DeviceName,
    /// Threads of one operation [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<u16>>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Seconds of a step.
#[derive(Clone, Copy)]
struct StepSecs {
    forward: f64,
    backward: f64,
    optimizer: f64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        tch::set_num_threads(threads.get().into());
    }
    let device = args.device.open(None)?.map_or(Device::Cpu, |gpu| gpu.device());
    let (config, network) = args.network(device)?;
    let settings = PretrainingSettings::published();
    let mut optimizer = AdamW::new(network.trainable(), settings.optimizer)?;
    let budgets = [settings.masking.visible_tokens, settings.masking.target_tokens];
    let rows = vec![row(&config, budgets); args.samples_per_pass.get().into()];
    let batch = Batch::new(&config, &rows, device)?;
    let (mut losses, mut timed) = (Vec::new(), Vec::new());
    for step in 0..=args.steps.get() {
        ensure!(!interrupt::is_asked(), "interrupted before a step was timed\nlet it run");
        let start = Instant::now();
        let loss = network.losses(&batch)?.total(settings.loss)?.context("no targets\nuse a model with tokens")?;
        losses.push(loss.f_double_value(&[])?);
        let forward = start.elapsed().as_secs_f64();
        loss.f_backward()?;
        wait_for(device);
        let backward = start.elapsed().as_secs_f64() - forward;
        optimizer.step(settings.schedule.base_learning_rate)?;
        wait_for(device);
        let optimizer = start.elapsed().as_secs_f64() - forward - backward;
        if step > 0 {
            timed.push(StepSecs { forward, backward, optimizer });
        }
    }
    report(args, &batch, &losses, &timed)
}

impl Args {
    fn network(&self, device: Device) -> anyhow::Result<(ModelConfig, Network)> {
        let (config, network) = if let Some(path) = &self.weights {
            let folder = WeightsFolder::open(path)?;
            let weights = folder.part(WeightsPart::Model)?;
            (folder.config().clone(), Network::new(folder.config(), &weights, self.precision, device)?)
        } else {
            let config = self.model.config()?;
            let network = Network::new(&config, &Initial::new(&config, 0), self.precision, device)?;
            (config, network)
        };
        Ok((config, if self.checkpointing { network.checkpointed() } else { network }))
    }
}

/// Waits until a GPU has done what it was given, so that it is timed.
fn wait_for(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

fn report(args: &Args, batch: &Batch, losses: &[f64], timed: &[StepSecs]) -> anyhow::Result<()> {
    let median = |part: fn(&StepSecs) -> f64| {
        let mut secs: Vec<f64> = timed.iter().map(part).collect();
        secs.sort_by(f64::total_cmp);
        secs[secs.len() / 2]
    };
    let total = median(|step| step.forward + step.backward + step.optimizer);
    let parts = [median(|step| step.forward), median(|step| step.backward), median(|step| step.optimizer)];
    // A GPU's memory is its own.
    let peak = if args.device == DeviceName::Cpu { peak_memory_bytes() } else { None };
    let n_tokens = batch.n_tokens();
    let tokens_per_sec = n_tokens as f64 / total;
    let threads = tch::get_num_threads();
    if args.json {
        return console::print_json(&json!({
            "samples_per_pass": args.samples_per_pass,
            "tokens": n_tokens,
            "precision": args.precision.name(),
            "checkpointing": args.checkpointing,
            "threads": threads,
            "losses": losses,
            "tokens_per_sec": tokens_per_sec,
            "step_secs": total,
            "forward_secs": parts[0],
            "backward_secs": parts[1],
            "optimizer_secs": parts[2],
            "peak_memory_bytes": peak,
        }));
    }
    let [forward, backward, optimizer] = parts;
    console::print(format_args!(
        "{tokens_per_sec:.0} tokens/s: {n_tokens} tokens in {total:.2} s, {threads} threads, {}",
        args.precision
    ));
    console::print(format_args!("forward {forward:.2} s, backward {backward:.2} s, optimiser {optimizer:.2} s"));
    if let Some(peak) = peak {
        console::print(format_args!("at most {:.2} GB of memory", peak as f64 / 1e9));
    }
    Ok(())
}

/// A sample with as many visible tokens and targets as the budgets allow: the motion modalities whole, and the same of both
/// videos.
fn row(config: &ModelConfig, budgets: [usize; 2]) -> BatchRow {
    let n_motion: usize = Modality::ALL.into_iter().filter(|m| !m.is_video()).map(|m| config.n_tokens(m) / 2).sum();
    let selection = |modality: Modality, first: usize, budget: usize| {
        let half = config.n_tokens(modality) / 2;
        let n = if modality.is_video() { half.min(budget.saturating_sub(n_motion) / 2) } else { half };
        let positions: Vec<i64> = (0..n).map(|index| (2 * index + first) as i64).collect();
        let vocabulary = config.vocabulary(modality) as i64;
        let tokens =
            positions.iter().map(|position| (position * 7919 + modality.index() as i64) % vocabulary).collect();
        Selection { modality, positions, tokens }
    };
    let [visible, targets] =
        [0, 1].map(|first| Modality::ALL.map(|modality| selection(modality, first, budgets[first])).to_vec());
    BatchRow { visible, targets }
}

fn precision(name: &str) -> Result<Precision, String> {
    name.parse().map_err(|error| super::one_line(&error))
}
