use super::super::clips::ClipFolder;
use super::super::progress::TOKENS;
use super::super::shell;
use super::super::training::Training;
use super::settings::TokenizerFile;
use super::training_clips::TrainingClips;
use anyhow::{Context as _, anyhow};
use egom2p_model::{Modality, ModelConfig, weights::WeightsPart};
use egom2p_train::checkpoint::Checkpoint;
use egom2p_train::distributed::Ranks;
use egom2p_train::metrics::{LOSS, VALIDATION_LOSS};
use egom2p_train::tokenizers::{
    Alone, CameraErrors, ClipOrder, CodebookUsage, GazeErrors, Peers, Tokenizer, TokenizerError, TokenizerTraining,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::rc::Rc;
use tch::Device;

/// How many held-out clips are evaluated on at most.
const MAX_EVALUATED: usize = 256;

/// How many clips an error names before it only counts them.
const MAX_NAMED: usize = 8;

/// The training of a tokenizer with its clips.
pub(super) struct Run<T> {
    pub(super) training: TokenizerTraining<T>,
    pub(super) order: ClipOrder,
    pub(super) folder: ClipFolder,
    pub(super) clips: TrainingClips,
    pub(super) held_out: TrainingClips,
    pub(super) config: ModelConfig,
    pub(super) part: WeightsPart,
    pub(super) settings: TokenizerFile,
    /// Where it is trained.
    pub(super) device: Device,
    /// The processes that train together; `None` in one process.
    pub(super) ranks: Option<Rc<Ranks>>,
}

/// What a checkpoint stores besides tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) settings: TokenizerFile,
    /// The digest of the names of the clips.
    pub(super) clips: String,
}

/// Errors in the units of what is tokenized.
enum Errors {
    Camera(Box<CameraErrors>),
    Gaze(GazeErrors),
    Video,
}

impl State {
    /// The state of a checkpoint of a tokenizer.
    pub(super) fn read(checkpoint: &Checkpoint) -> anyhow::Result<Self> {
        let state = Self::deserialize(&checkpoint.state);
        state.with_context(|| {
            format!(
                "the checkpoint of step {} is not one of a tokenizer's training\nname the folder of such a training",
                checkpoint.step
            )
        })
    }
}

impl<T: Tokenizer> Run<T> {
    /// Makes the ranks equal before the first step.
    pub(super) fn share(&mut self, ranks: &Ranks) -> anyhow::Result<()> {
        // A batch that cannot be divided is told before anyone waits.
        self.order.batch(0, ranks.rank(), ranks.n_ranks())?;
        let settings = json!([self.config, self.settings, self.clips.digest(), self.training.n_steps()]);
        ranks.agree("clips, settings or checkpoint", &settings.to_string())?;
        ranks.send(self.training.state().values())?;
        Ok(ranks.learn(self.training.tokenizer().trainable())?)
    }
}

impl<T: Tokenizer> Training for Run<T> {
    fn n_steps(&self) -> u64 {
        self.training.n_steps()
    }

    fn total_steps(&self) -> u64 {
        self.training.schedule().total_steps
    }

    fn step(&mut self) -> anyhow::Result<Vec<(String, f64)>> {
        let peers: &dyn Peers = self.ranks.as_deref().map_or(&Alone, |ranks| ranks);
        let n_ranks = peers.n_ranks() as i64;
        let indices = self.order.batch(self.training.n_steps(), peers.rank(), peers.n_ranks())?;
        let clips = self.clips.batch(&self.folder, indices, self.device)?;
        let report = match self.training.step(&clips, peers) {
            Err(error @ (TokenizerError::Loss { .. } | TokenizerError::Gradient { .. })) => {
                let indices = indices.to_vec();
                return Err(self.not_finite(&error, &indices));
            }
            report => report?,
        };
        let n_tokens = n_ranks * clips.size()[0] * self.config.n_tokens(self.modality()) as i64;
        let mut values = vec![
            (LOSS, report.loss),
            ("learning_rate", report.learning_rate),
            ("gradient_norm", report.gradient_norm),
            (TOKENS, n_tokens as f64),
        ];
        if self.part != WeightsPart::Video {
            values.push(("loss/reconstruction", report.reconstruction));
            values.push(("loss/commitment", report.loss - report.reconstruction));
            values.push(("codebook/used", report.codebook.used_codes as f64));
            values.push(("codebook/replaced", report.codebook.replaced_codes as f64));
        }
        Ok(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn evaluate(&mut self, _folder: &Path) -> anyhow::Result<Vec<(String, f64)>> {
        let n_clips = self.held_out.len().min(MAX_EVALUATED);
        // It is short, so that the other ranks wait for the first.
        if n_clips == 0 || !self.ranks.as_deref().is_none_or(Ranks::is_first) {
            return Ok(Vec::new());
        }
        let _no_gradient = tch::no_grad_guard();
        let mut usage = CodebookUsage::new(self.config.vocabulary(self.modality()));
        let mut errors = self.errors();
        let (mut loss, mut n_evaluated) = (0.0, 0.0);
        let indices: Vec<usize> = (0..n_clips).collect();
        for indices in indices.chunks(self.settings.settings().batch) {
            let clips = self.held_out.batch(&self.folder, indices, self.device)?;
            let forward = self.training.tokenizer().forward(&clips)?;
            let of_batch = forward.loss.f_double_value(&[]).context("cannot read a loss\ncheck the free memory")?;
            loss += of_batch * clips.size()[0] as f64;
            n_evaluated += clips.size()[0] as f64;
            usage.add(&forward.tokens)?;
            match &mut errors {
                Errors::Camera(errors) => errors.add(&forward.decoded, &clips)?,
                Errors::Gaze(errors) => errors.add(&forward.decoded, &clips)?,
                Errors::Video => {}
            }
        }
        let mut values = vec![
            (VALIDATION_LOSS, loss / n_evaluated),
            ("validation/perplexity", usage.perplexity()),
            ("validation/used_codes", usage.used_share()),
        ];
        match errors {
            Errors::Camera(errors) => {
                values.push(("validation/rotation_radians", errors.rotation_radians()));
                values.push(("validation/translation_metres", errors.translation_metres()));
            }
            Errors::Gaze(errors) => values.push(("validation/gaze_error", errors.mean_absolute())),
            Errors::Video => {}
        }
        Ok(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn checkpoint(&self) -> anyhow::Result<Checkpoint> {
        let state = State { settings: self.settings.clone(), clips: self.clips.digest().to_owned() };
        Ok(Checkpoint {
            step: self.training.n_steps(),
            config: self.config.clone(),
            part: self.part,
            tensors: self.training.state(),
            state: json!(state),
        })
    }

    fn next(&self, checkpoint: &Path) -> (&'static str, String) {
        let (data, checkpoint) = (self.folder.path().display(), checkpoint.display());
        let (data, checkpoint) = (shell::quoted(&data), shell::quoted(&checkpoint));
        (
            "turn the clips into tokens, with the other tokenizers named behind this one",
            format!("egom2p-train tokenize --data {data} --out tokens --tokenizers {checkpoint}"),
        )
    }
}

impl<T: Tokenizer> Run<T> {
    /// An error with the clips of its step: those whose own loss is no number, or all.
    fn not_finite(&mut self, error: &TokenizerError, indices: &[usize]) -> anyhow::Error {
        let _no_gradient = tch::no_grad_guard();
        let mut is_bad = |index: &usize| -> anyhow::Result<bool> {
            let forward =
                self.training.tokenizer().forward(&self.clips.batch(&self.folder, &[*index], self.device)?)?;
            Ok(!forward.loss.f_double_value(&[])?.is_finite())
        };
        let bad: Vec<usize> = indices.iter().copied().filter(|index| is_bad(index).unwrap_or(false)).collect();
        let named = if bad.is_empty() { indices } else { &bad };
        let names: Vec<String> = named.iter().take(MAX_NAMED).map(|index| self.clips.name(*index)).collect();
        let more = named.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let error = error.to_string();
        let (what, mend) = error.split_once('\n').unwrap_or((&error, ""));
        let (names, n_bad, n_clips) = (names.join(", "), bad.len(), indices.len());
        anyhow!("{what}, with {names}{more}; {n_bad} of its {n_clips} clips have such a loss of their own\n{mend}")
    }
}

impl<T> Run<T> {
    fn modality(&self) -> Modality {
        match self.part {
            WeightsPart::Camera => Modality::Camera,
            WeightsPart::Gaze => Modality::Gaze,
            WeightsPart::Video | WeightsPart::Model => Modality::Rgb,
        }
    }

    fn errors(&self) -> Errors {
        let normalisation = &self.folder.preparation().camera_normalisation;
        match self.part {
            WeightsPart::Camera => Errors::Camera(Box::new(CameraErrors::new(normalisation.mean, normalisation.std))),
            WeightsPart::Gaze => Errors::Gaze(GazeErrors::default()),
            WeightsPart::Video | WeightsPart::Model => Errors::Video,
        }
    }
}
