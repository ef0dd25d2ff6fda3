//! `egom2p import`: published checkpoints to a weights folder.

use std::{ops::ControlFlow, path::PathBuf};

use anyhow::bail;
use egom2p::io::OutputFolder;
use egom2p_model::{
    Preset, WeightsFolder, expected_tensors,
    weights::{ImportSource, import_weights},
};

use crate::console;

/// `egom2p import`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint of the EgoM2P model (checkpoint-main.pth)
    #[arg(long, value_name = "PTH")]
    model: Option<PathBuf>,
    /// Checkpoint of the camera tokenizer (checkpoint-cam.pth)
    #[arg(long, value_name = "PTH")]
    camera: Option<PathBuf>,
    /// Checkpoint of the gaze tokenizer (checkpoint-gaze.pth)
    #[arg(long, value_name = "PTH")]
    gaze: Option<PathBuf>,
    /// TorchScript archive of the video tokenizer's encoder (encoder.jit)
    #[arg(long, value_name = "JIT")]
    video_encoder: Option<PathBuf>,
    /// TorchScript archive of the video tokenizer's decoder (decoder.jit)
    #[arg(long, value_name = "JIT")]
    video_decoder: Option<PathBuf>,
    /// The architecture of the checkpoints
    #[arg(long, value_name = "PRESET", default_value = Preset::Base.name(), value_parser = super::preset)]
    preset: Preset,
    /// The weights folder to write
    #[arg(long, value_name = "WEIGHTS")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let sources = args.sources();
    if sources.is_empty() {
        bail!(
            "no checkpoint is named\npass at least one of --model, --camera, --gaze, --video-encoder, --video-decoder"
        );
    }
    let config = args.preset.config();
    WeightsFolder::check_fits(&args.out, &config)?;
    let output = OutputFolder::new(&args.out)?;
    let folder = WeightsFolder::create(output.staging(), &config)?;
    let mut lines = Vec::new();
    for source in sources {
        let part = source.part();
        let bar = console::progress(0, part.file_name());
        let imported = import_weights(source, &expected_tensors(&config, part)?, folder.path(), |progress| {
            bar.set_length(progress.n_tensors as u64);
            bar.set_position(progress.n_done as u64);
            ControlFlow::Continue(())
        })?;
        bar.finish_and_clear();
        lines.push(format!(
            "{}: {} tensors, {:.1} MB, {} aliases agree, {} norm biases are zero",
            args.out.join(part.file_name()).display(),
            imported.n_tensors,
            imported.n_bytes as f64 / 1e6,
            imported.n_aliases,
            imported.n_zero_biases
        ));
    }
    output.commit()?;
    lines.iter().for_each(console::print);
    Ok(())
}

impl Args {
    fn sources(&self) -> Vec<ImportSource<'_>> {
        let video = self.video_encoder.is_some() || self.video_decoder.is_some();
        [
            self.model.as_deref().map(ImportSource::Model),
            self.camera.as_deref().map(ImportSource::Camera),
            self.gaze.as_deref().map(ImportSource::Gaze),
            video.then_some(ImportSource::Video {
                encoder: self.video_encoder.as_deref(),
                decoder: self.video_decoder.as_deref(),
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
