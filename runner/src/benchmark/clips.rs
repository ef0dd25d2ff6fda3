use std::{collections::BTreeMap, num::NonZeroUsize, time::Instant};

use egom2p_model::{ModelConfig, Stage, Variant};

use super::Latency;
use crate::{
    device_pipeline::DevicePipeline,
    engine_stages::{EngineStages, EngineTiming},
    generation::{GenerationSettings, ModalityTokens, StepReport, generate},
    pipeline::{Given, PipelineError, PredictionSecs, predict},
    stages::Stages as _,
};

/// How clips are repeated, for reports.
pub const CLIPS_RULE: &str = "1 warm-up clip, then the timed ones, one after another; as in a run over several videos, engines are loaded anew for \
     every clip unless weights are prepacked";

/// How clips are repeated on a device, for reports.
pub const DEVICE_CLIPS_RULE: &str = "1 warm-up batch, then the timed ones, one after another, each from frames or tokens of the host to predictions or \
     tokens of the host; engines are loaded and memory is planned once, before";

/// How much of the way is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClipScope {
    /// From frames and tokens to decoded predictions.
    Predictions,
    /// From tokens to tokens: the decoding loop alone.
    Tokens,
}

/// What whole clips take.
#[derive(Clone, PartialEq, Debug)]
pub struct ClipLatency {
    /// How much of the way was measured.
    pub scope: ClipScope,
    /// Clips that are predicted together.
    pub batch: NonZeroUsize,
    /// Wall time of a clip, or of a batch of them.
    pub latency: Latency,
    /// Wall time of the parts of a clip or batch, on average.
    pub secs: PredictionSecs,
    /// Wall time of drawing tokens from logits in a clip or batch, on average.
    pub sampling_secs: f64,
    /// What the engines took, all timed clips together.
    pub engines: BTreeMap<(Stage, Variant), EngineTiming>,
    /// Tokens that are decoded for a clip.
    pub tokens: usize,
}

/// Predicts the same clip again and again; `observe` is called after each, the one for warm-up included.
///
/// # Errors
/// Whatever keeps a clip from being predicted.
pub fn measure_clips(
    stages: &mut EngineStages,
    config: &ModelConfig,
    given: &Given,
    settings: &GenerationSettings,
    (scope, n_clips): (ClipScope, NonZeroUsize),
    observe: &mut dyn FnMut(),
) -> Result<ClipLatency, PipelineError> {
    repeat((scope, NonZeroUsize::MIN), (config, settings), n_clips, || {
        let clip = time_clip(stages, config, given.clone(), settings, scope);
        observe();
        clip
    })
}

/// Predicts the same batch of clips on a device again and again; `observe` is called after each batch, the one for
/// warm-up included. The pipeline must have been made for such clips and settings.
///
/// # Errors
/// Whatever keeps a clip from being predicted.
pub fn measure_device_clips(
    pipeline: &mut DevicePipeline,
    (config, settings): (&ModelConfig, &GenerationSettings),
    clips: &[Given],
    (scope, n_batches): (ClipScope, NonZeroUsize),
    observe: &mut dyn FnMut(),
) -> Result<ClipLatency, PipelineError> {
    let batch = NonZeroUsize::new(clips.len()).unwrap_or(NonZeroUsize::MIN);
    let tokens: Vec<Vec<ModalityTokens>> = clips.iter().map(|clip| clip.tokens.clone()).collect();
    repeat((scope, batch), (config, settings), n_batches, || {
        let given = clips.to_vec();
        let mut sampling_secs = 0.0;
        let mut sampled = |step: &StepReport| sampling_secs += step.secs.sampling;
        let started = Instant::now();
        let parts = match scope {
            ClipScope::Predictions => {
                let predictions = pipeline.predict(given, &mut sampled)?;
                // Clips of a batch share every part: each is told the time of all.
                predictions.first().map(|prediction| prediction.secs).unwrap_or_default()
            }
            ClipScope::Tokens => {
                pipeline.generate(&tokens, &mut sampled)?;
                PredictionSecs { generate: started.elapsed().as_secs_f64(), ..PredictionSecs::default() }
            }
        };
        let secs = started.elapsed().as_secs_f64();
        observe();
        Ok(TimedClip { secs, parts, sampling_secs, engines: pipeline.take_timings() })
    })
}

/// Runs a clip or batch once for warm-up and then as often as asked.
fn repeat(
    (scope, batch): (ClipScope, NonZeroUsize),
    (config, settings): (&ModelConfig, &GenerationSettings),
    n_timed: NonZeroUsize,
    mut clip: impl FnMut() -> Result<TimedClip, PipelineError>,
) -> Result<ClipLatency, PipelineError> {
    clip()?;
    let first = clip()?;
    let more = (1..n_timed.get()).map(|_| clip()).collect::<Result<Vec<_>, _>>()?;
    let mean = |part: fn(&TimedClip) -> f64| (part(&first) + more.iter().map(part).sum::<f64>()) / n_timed.get() as f64;
    let mut engines: BTreeMap<_, EngineTiming> = BTreeMap::new();
    for (&engine, timing) in [&first].into_iter().chain(&more).flat_map(|clip| &clip.engines) {
        let sum = engines.entry(engine).or_default();
        sum.calls += timing.calls;
        sum.secs += timing.secs;
        sum.load_secs += timing.load_secs;
    }
    Ok(ClipLatency {
        scope,
        batch,
        secs: PredictionSecs {
            tokenize: mean(|clip| clip.parts.tokenize),
            generate: mean(|clip| clip.parts.generate),
            detokenize: mean(|clip| clip.parts.detokenize),
        },
        sampling_secs: mean(|clip| clip.sampling_secs),
        engines,
        tokens: settings.targets.iter().map(|target| config.n_tokens(target.modality)).sum(),
        latency: Latency::new(1, first.secs, more.into_iter().map(|clip| clip.secs)),
    })
}

/// What one clip or batch took.
struct TimedClip {
    secs: f64,
    parts: PredictionSecs,
    sampling_secs: f64,
    engines: BTreeMap<(Stage, Variant), EngineTiming>,
}

fn time_clip(
    stages: &mut EngineStages,
    config: &ModelConfig,
    given: Given,
    settings: &GenerationSettings,
    scope: ClipScope,
) -> Result<TimedClip, PipelineError> {
    let mut sampling_secs = 0.0;
    let mut sampled = |step: &StepReport| sampling_secs += step.secs.sampling;
    let started = Instant::now();
    let parts = match scope {
        ClipScope::Predictions => predict(stages, config, given, settings, &mut sampled)?.secs,
        ClipScope::Tokens => {
            generate(stages, config, &given.tokens, settings, &mut sampled)?;
            for stage in Stage::ALL {
                stages.release(stage);
            }
            PredictionSecs { generate: started.elapsed().as_secs_f64(), ..PredictionSecs::default() }
        }
    };
    Ok(TimedClip { secs: started.elapsed().as_secs_f64(), parts, sampling_secs, engines: stages.take_timings() })
}

impl ClipLatency {
    /// Clips per second at the median.
    pub fn clips_per_sec(&self) -> f64 {
        self.batch.get() as f64 / self.latency.median_secs()
    }

    /// Decoded tokens per second at the median.
    pub fn tokens_per_sec(&self) -> f64 {
        self.tokens as f64 * self.clips_per_sec()
    }

    /// Wall time of loading engines in a clip, on average; part of the latency.
    pub fn load_secs(&self) -> f64 {
        self.engines.values().map(|timing| timing.load_secs).sum::<f64>() / self.latency.runs() as f64
    }
}

impl ClipScope {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Predictions => "predictions",
            Self::Tokens => "tokens",
        }
    }
}
