//! `egom2p stage`: one stage on tensors from a file.

use std::path::PathBuf;

use egom2p::{
    stage_inputs::check_ids,
    stages::Stages as _,
    tensors::{read_tensors, write_tensors},
};
use egom2p_model::Stage;

use super::{bundle_config, engines::EngineArgs};
use crate::console;

/// `egom2p stage`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle to run
    bundle: PathBuf,
    /// The stage, such as `head_camera`
    #[arg(value_parser = super::stage)]
    stage: Stage,
    /// Its inputs by their contract names
    #[arg(long, value_name = "IN.safetensors")]
    inputs: PathBuf,
    /// Where its outputs go
    #[arg(long, value_name = "OUT.safetensors")]
    outputs: PathBuf,
    #[command(flatten)]
    engines: EngineArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let inputs = read_tensors(&args.inputs)?;
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut stages = args.engines.open(&args.bundle)?;
    check_ids(&bundle_config(stages.bundle())?, args.stage, &inputs)?;
    let outputs = stages.run(args.stage, &inputs)?;
    write_tensors(&args.outputs, &outputs)?;
    for (name, tensor) in &outputs {
        console::print(format_args!("{name} {} {:?}", tensor.dtype(), tensor.shape()));
    }
    Ok(())
}
