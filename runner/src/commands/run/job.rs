use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use egom2p::{
    clips::{Clip, VideoClips},
    generation::{GenerationSettings, ModalityTokens},
    io::OutputFolder,
    pipeline::{Given, Prediction},
    predictions::write_predictions,
    run_report,
    video::VideoProgram,
};
use egom2p_device::DeviceError;
use egom2p_model::ModelConfig;
use serde_json::{Value, json};

use super::{Args, predictor::Predictor};
use crate::console;

/// Everything that stays the same from clip to clip, and the clips that wait for a full batch.
pub(super) struct Job<'a> {
    pub(super) args: &'a Args,
    pub(super) predictor: Predictor,
    pub(super) config: ModelConfig,
    pub(super) settings: GenerationSettings,
    pub(super) n_steps: usize,
    pub(super) program: Option<VideoProgram>,
    pub(super) tokens: Vec<ModalityTokens>,
    pub(super) waiting: Vec<Waiting>,
    /// Videos that are not done, in the order in which that became clear.
    pub(super) failed: Vec<PathBuf>,
}

/// A clip that is to be predicted, and where to.
pub(super) struct Waiting {
    clip: Option<(PathBuf, Clip)>,
    folder: OutputFolder,
    out: PathBuf,
}

/// The GPU is gone: nothing more can be done.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
struct Lost {
    /// The clip at which it was noticed.
    first: String,
    cause: DeviceError,
}

impl Job<'_> {
    /// Predictions from tokens alone.
    pub(super) fn tokens(&mut self) -> anyhow::Result<()> {
        let out = self.args.out.clone();
        self.clip(None, out)?;
        self.flush()
    }

    /// Every video; one that fails does not stop the others, unless the GPU is gone.
    pub(super) fn videos(&mut self, videos: &[PathBuf]) -> anyhow::Result<()> {
        if let [video] = videos {
            let out = self.args.out.clone();
            return self.video(video, &out).and_then(|()| self.flush()).map_err(|error| self.explain(error, videos));
        }
        for video in videos {
            let out = self.args.out.join(video.file_stem().unwrap_or_default());
            if let Err(error) = self.video(video, &out) {
                self.fail(Some(video), error, videos)?;
            }
        }
        if let Err(error) = self.flush() {
            self.fail(None, error, videos)?;
        }
        if self.failed.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.failed.iter().map(|video| video.display().to_string()).collect();
        bail!(
            "{} of {} videos failed: {}\nthe messages above say why; the others are done",
            names.len(),
            videos.len(),
            names.join(", ")
        )
    }

    /// Notes a failure, or gives it back where nothing can follow it.
    fn fail(&mut self, video: Option<&PathBuf>, error: anyhow::Error, videos: &[PathBuf]) -> anyhow::Result<()> {
        if error.downcast_ref::<Lost>().is_some() {
            return Err(self.explain(error, videos));
        }
        console::fail(&error);
        if let Some(video) = video.filter(|video| !self.failed.contains(video)) {
            self.failed.push(video.clone());
        }
        Ok(())
    }

    /// A lost GPU, with what was not done because of it; any other error as it is.
    fn explain(&self, error: anyhow::Error, videos: &[PathBuf]) -> anyhow::Error {
        match error.downcast_ref::<Lost>() {
            Some(lost) => not_done(lost, &self.failed, videos),
            None => error,
        }
    }

    /// Every full clip of a video: into `out` itself where there is one, else into a folder each.
    fn video(&mut self, path: &Path, out: &Path) -> anyhow::Result<()> {
        let program = self.program.as_ref().context("no video program")?;
        let options = self.args.video.read_options(&self.config);
        let mut clips = VideoClips::open(program, path, &options, &self.config)?;
        let Some(first) = clips.next().transpose()? else { return Ok(()) };
        let second = clips.next().transpose()?;
        if second.is_none() {
            self.clip(Some((path.to_owned(), first)), out.to_owned())?;
        } else {
            for clip in [Ok(first)].into_iter().chain(second.map(Ok)).chain(&mut clips) {
                let clip = clip?;
                let folder = out.join(format!("clip-{:04}", clip.index));
                self.clip(Some((path.to_owned(), clip)), folder)?;
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

    /// A clip joins those that wait, which are predicted as soon as they fill a batch.
    fn clip(&mut self, clip: Option<(PathBuf, Clip)>, out: PathBuf) -> anyhow::Result<()> {
        let folder = OutputFolder::new(&out)?;
        self.waiting.push(Waiting { clip, folder, out });
        if self.waiting.len() < self.predictor.batch() { Ok(()) } else { self.flush() }
    }

    /// Predicts the clips that wait and writes what was predicted. Where that fails, their videos are not done.
    fn flush(&mut self) -> anyhow::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return Ok(()) };
        let first = first.out.display().to_string();
        let videos: BTreeSet<PathBuf> =
            waiting.iter().filter_map(|waiting| Some(waiting.clip.as_ref()?.0.clone())).collect();
        let result = self.predict(waiting, first);
        if result.is_err() {
            let new: Vec<PathBuf> = videos.into_iter().filter(|video| !self.failed.contains(video)).collect();
            self.failed.extend(new);
        }
        result
    }

    fn predict(&mut self, waiting: Vec<Waiting>, first: String) -> anyhow::Result<()> {
        let given = |waiting: &Waiting| Given {
            video: waiting.clip.as_ref().map(|(_, clip)| (self.args.from, clip.frames.clone())),
            tokens: self.tokens.clone(),
        };
        let clips: Vec<Given> = waiting.iter().map(given).collect();
        let bar = console::progress((self.n_steps * clips.len()) as u64, first.clone());
        let predictions = self.predictor.predict(clips, &mut |_| bar.inc(1));
        bar.finish_and_clear();
        let predictions = predictions.map_err(|error| match error.device() {
            Some(cause @ DeviceError::Lost { .. }) => anyhow!(Lost { first, cause: cause.clone() }),
            _ => anyhow!(error),
        })?;
        let engines = run_report::engines(&self.predictor.take_timings());
        let n_together = predictions.len();
        for (waiting, prediction) in waiting.into_iter().zip(predictions) {
            self.write(waiting, &prediction, (&engines, n_together))?;
        }
        Ok(())
    }

    fn write(
        &self,
        waiting: Waiting,
        prediction: &Prediction,
        (engines, n_together): (&Value, usize),
    ) -> anyhow::Result<()> {
        let Waiting { clip, folder, out } = waiting;
        let manifest = self.predictor.bundle().manifest();
        let input = clip.as_ref().map(|(path, clip)| {
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
            "gpu": self.predictor.gpu().map(|facts| run_report::gpu(facts, n_together)),
            "secs": run_report::secs(prediction),
            "engines": engines,
            "peak_memory_bytes": run_report::peak_memory_bytes(),
            "steps": run_report::steps(prediction),
        });
        let fps = self.args.video.fps();
        let written = write_predictions(folder, &self.config, prediction, &report, self.program.as_ref(), fps)?;
        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        let secs = prediction.secs.tokenize + prediction.secs.generate + prediction.secs.detokenize;
        console::print(format_args!("{}: {} ({secs:.1} s)", out.display(), names.join(" ")));
        Ok(())
    }

    /// Versions of the libraries that the engines were built with.
    fn libraries(&self) -> Value {
        let variants = self.predictor.bundle().manifest().stages.values().flat_map(|variants| variants.values());
        json!(variants.flat_map(|variant| variant.libraries.clone()).collect::<BTreeMap<_, _>>())
    }

    /// Digests of the weights files of the bundle.
    fn weights(&self) -> Value {
        let files = &self.predictor.bundle().manifest().files;
        let weights =
            files.iter().filter(|(path, _)| path.as_str().starts_with("onnx/") && path.as_str().ends_with(".weights"));
        json!(weights.map(|(path, entry)| (path.file_name().to_owned(), entry.blake3)).collect::<BTreeMap<_, _>>())
    }
}

/// What a lost GPU leaves undone: the videos that failed before or with it, and those after.
fn not_done(lost: &Lost, failed: &[PathBuf], videos: &[PathBuf]) -> anyhow::Error {
    let text = lost.cause.to_string();
    let (what, mend) = text.split_once('\n').unwrap_or((&text, "run the command again"));
    let reached = videos.iter().rposition(|video| failed.contains(video)).map_or(0, |last| last + 1);
    let after = videos.len().saturating_sub(reached);
    let n_left = failed.len() + after;
    anyhow!("{what}; first not done: {}, and with it {n_left} of {} videos\n{mend}", lost.first, videos.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_gpu_says_what_is_not_done() {
        let cause = DeviceError::Lost { name: "NVIDIA H100".to_owned(), what: "it fell off the bus".to_owned() };
        let lost = Lost { first: "out/c".to_owned(), cause };
        let videos: Vec<PathBuf> = ["a", "b", "c", "d"].map(PathBuf::from).to_vec();
        let error = not_done(&lost, &[PathBuf::from("a"), PathBuf::from("c")], &videos).to_string();
        assert_eq!(
            error,
            "NVIDIA H100 was lost: it fell off the bus; first not done: out/c, and with it 3 of 4 videos\n\
             run the command again: what was finished is kept (dmesg may say why)"
        );
    }
}
