use std::{collections::BTreeMap, ops::ControlFlow, path::PathBuf};

use anyhow::anyhow;
use egom2p::{
    generation::{GenerationSettings, ModalityTokens},
    pipeline::{Given, Prediction},
    predictions::write_predictions,
    run_report,
    video::VideoProgram,
};
use egom2p_device::{DeviceError, DeviceFacts};
use egom2p_model::ModelConfig;
use serde_json::{Value, json};

use super::{
    Args,
    feed::{Batch, Waiting},
    outcome::Outcome,
    predictor::Predictor,
};
use crate::console::Bars;

/// Everything that stays the same from clip to clip, and that all streams share.
pub(super) struct Job<'a> {
    pub(super) args: &'a Args,
    pub(super) facts: Facts,
    pub(super) config: ModelConfig,
    pub(super) settings: GenerationSettings,
    pub(super) n_steps: usize,
    pub(super) program: Option<VideoProgram>,
    pub(super) tokens: Vec<ModalityTokens>,
    pub(super) bars: Bars,
    pub(super) outcome: Outcome,
}

/// What reports say of the bundle and of the device.
pub(super) struct Facts {
    /// Preset, and digests of the weights files.
    pub(super) bundle: Value,
    /// Versions of the libraries that the engines were built with.
    pub(super) libraries: Value,
    /// The GPU, if it is one.
    pub(super) gpu: Option<DeviceFacts>,
}

impl Facts {
    pub(super) fn of(predictor: &Predictor) -> Self {
        let manifest = predictor.bundle().manifest();
        let weights = manifest.files.iter();
        let weights =
            weights.filter(|(path, _)| path.as_str().starts_with("onnx/") && path.as_str().ends_with(".weights"));
        let weights: BTreeMap<_, _> =
            weights.map(|(path, entry)| (path.file_name().to_owned(), entry.blake3)).collect();
        let variants = manifest.stages.values().flat_map(|variants| variants.values());
        let libraries: BTreeMap<_, _> = variants.flat_map(|variant| variant.libraries.clone()).collect();
        Self {
            bundle: json!({ "preset": manifest.preset, "weights": weights }),
            libraries: json!(libraries),
            gpu: predictor.gpu().cloned(),
        }
    }
}

impl Job<'_> {
    /// Predicts a batch and writes what was predicted. A failure is noted and told; `Break` where the GPU is gone.
    pub(super) fn batch(&self, predictor: &mut Predictor, batch: Batch) -> ControlFlow<()> {
        let Batch { number, clips } = batch;
        let Some(first) = clips.first() else { return ControlFlow::Continue(()) };
        let (first, n_more) = (first.out.clone(), clips.len() - 1);
        let name = match n_more {
            0 => first.display().to_string(),
            n_more => format!("{} and {n_more} more", first.display()),
        };
        let given = |waiting: &Waiting| Given {
            video: waiting.clip.as_ref().map(|(_, clip)| (self.args.from, clip.frames.clone())),
            tokens: self.tokens.clone(),
        };
        let given: Vec<Given> = clips.iter().map(given).collect();
        let bar = self.bars.progress((self.n_steps * clips.len()) as u64, &name);
        let predictions = predictor.predict(given, &mut |_| bar.inc(1));
        bar.finish_and_clear();
        match predictions {
            Ok(predictions) => {
                let engines = run_report::engines(&predictor.take_timings());
                let n_together = predictions.len();
                for (waiting, prediction) in clips.into_iter().zip(predictions) {
                    let (video, alone) = (waiting.clip.as_ref().map(|(video, _)| *video), waiting.alone);
                    let out = waiting.out.clone();
                    match self.write(waiting, &prediction, (&engines, n_together)) {
                        Ok(()) => self.outcome.done(video),
                        Err(error) => self.fail(vec![(video, out)], error, alone),
                    }
                }
            }
            Err(error) => {
                if let Some(cause @ DeviceError::Lost { .. }) = error.device() {
                    self.outcome.lost(cause, (number, first));
                    return ControlFlow::Break(());
                }
                let alone = clips.iter().all(|waiting| waiting.alone);
                let error = anyhow!(error);
                let error = if alone { error } else { error.context(name) };
                let clip = |waiting: Waiting| (waiting.clip.map(|(video, _)| video), waiting.out);
                self.fail(clips.into_iter().map(clip).collect(), error, alone);
            }
        }
        ControlFlow::Continue(())
    }

    /// Tells why clips, of these videos and with these folders, failed: at the end where the clip is all there is.
    fn fail(&self, clips: Vec<(Option<usize>, PathBuf)>, error: anyhow::Error, alone: bool) {
        if alone {
            return self.outcome.only_failed(error);
        }
        self.bars.fail(&error);
        for (video, out) in clips {
            self.outcome.failed(video, out);
        }
    }

    fn write(
        &self,
        waiting: Waiting,
        prediction: &Prediction,
        (engines, n_together): (&Value, usize),
    ) -> anyhow::Result<()> {
        let Waiting { clip, folder, out, .. } = waiting;
        let input = clip.as_ref().map(|(video, clip)| {
            json!({ "file": self.outcome.video(*video).display().to_string(), "clip": clip.index, "start_secs": clip.start_secs, "fps": self.args.video.fps() })
        });
        let token_files: Vec<_> = self
            .args
            .tokens
            .iter()
            .map(|file| json!({ "modality": file.modality.name(), "file": file.path.display().to_string() }))
            .collect();
        let report = json!({
            "schema": run_report::RUN_SCHEMA,
            "versions": { "egom2p": env!("CARGO_PKG_VERSION"), "libraries": self.facts.libraries },
            "bundle": self.facts.bundle,
            "input": { "from": self.args.from.name(), "video": input, "tokens": token_files },
            "settings": run_report::settings(&self.settings),
            "threads": self.settings.n_threads,
            "gpu": self.facts.gpu.as_ref().map(|facts| run_report::gpu(facts, n_together)),
            "secs": run_report::secs(prediction),
            "engines": engines,
            "peak_memory_bytes": run_report::peak_memory_bytes(),
            "steps": run_report::steps(prediction),
        });
        let fps = self.args.video.fps();
        let written = write_predictions(folder, &self.config, prediction, &report, self.program.as_ref(), fps)?;
        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        let secs = prediction.secs.tokenize + prediction.secs.generate + prediction.secs.detokenize;
        self.bars.print(format_args!("{}: {} ({secs:.1} s)", out.display(), names.join(" ")));
        Ok(())
    }
}
