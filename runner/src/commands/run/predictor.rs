use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
};

use anyhow::bail;
use egom2p::{
    device_pipeline::{DevicePipeline, DevicePlan},
    engine_stages::{EngineStages, EngineTiming},
    generation::{GenerationSettings, StepReport},
    pipeline::{Given, PipelineError, Prediction, predict},
};
use egom2p_device::{DeviceFacts, open_cuda};
use egom2p_engine_core::{Device, SessionOptions};
use egom2p_engines::Bundle;
use egom2p_model::{ModelConfig, Stage, Variant};

/// What predicts clips: engines on the processor, one clip at a time, or a pipeline on a GPU.
pub(super) enum Predictor {
    Processor { stages: Box<EngineStages>, config: Box<ModelConfig>, settings: GenerationSettings },
    Gpu(Box<DevicePipeline>),
}

/// What was asked for that only a GPU has.
pub(super) struct GpuChoice {
    pub(super) ordinal: Option<usize>,
    pub(super) batch: Option<NonZeroUsize>,
    pub(super) streams: Option<NonZeroUsize>,
}

impl Predictor {
    /// On what the engines were built for, one for every stream. `plan` is what a clip brings; its batch is that of the
    /// choice.
    pub(super) fn open(
        bundle: Bundle,
        config: &ModelConfig,
        settings: &GenerationSettings,
        (plan, choice): (DevicePlan, &GpuChoice),
        (stages, options): (&[Stage], SessionOptions),
    ) -> anyhow::Result<Vec<Self>> {
        match device_of(&bundle, stages)? {
            Device::Cuda => {
                let device = open_cuda(choice.ordinal.unwrap_or_default())?;
                let plan = DevicePlan { batch: choice.batch.unwrap_or(NonZeroUsize::MIN), ..plan };
                let first = DevicePipeline::new(bundle, device, config, settings, &plan, &options)?;
                let pipelines = first.streams(choice.streams.unwrap_or(NonZeroUsize::MIN))?;
                Ok(pipelines.into_iter().map(|pipeline| Self::Gpu(Box::new(pipeline))).collect())
            }
            Device::Cpu => {
                let typed = [
                    ("--gpu", choice.ordinal.is_some()),
                    ("--batch", choice.batch.is_some()),
                    ("--streams", choice.streams.is_some()),
                ];
                if let Some((flag, _)) = typed.into_iter().find(|(_, typed)| *typed) {
                    bail!(
                        "{flag} is for bundles for a GPU: the engines of {} are for the processor\nleave {flag} out, or build the bundle with --device cuda",
                        bundle.folder().display()
                    );
                }
                let stages = Box::new(EngineStages::new(bundle, options));
                Ok(vec![Self::Processor { stages, config: Box::new(config.clone()), settings: settings.clone() }])
            }
        }
    }

    /// Clips that are decoded together at the most.
    pub(super) fn batch(&self) -> usize {
        match self {
            Self::Processor { .. } => 1,
            Self::Gpu(pipeline) => pipeline.plan().batch.get(),
        }
    }

    /// Up to a batch of clips.
    pub(super) fn predict(
        &mut self,
        clips: Vec<Given>,
        observe: &mut dyn FnMut(&StepReport),
    ) -> Result<Vec<Prediction>, Box<PipelineError>> {
        match self {
            Self::Gpu(pipeline) => Ok(pipeline.predict(clips, observe)?),
            Self::Processor { stages, config, settings } => {
                let mut predictions = Vec::with_capacity(clips.len());
                for clip in clips {
                    predictions.push(predict(stages.as_mut(), config, clip, settings, observe)?);
                }
                Ok(predictions)
            }
        }
    }

    pub(super) fn bundle(&self) -> &Bundle {
        match self {
            Self::Processor { stages, .. } => stages.bundle(),
            Self::Gpu(pipeline) => pipeline.bundle(),
        }
    }

    /// The GPU, if it is one.
    pub(super) fn gpu(&self) -> Option<&DeviceFacts> {
        match self {
            Self::Processor { .. } => None,
            Self::Gpu(pipeline) => Some(pipeline.device().facts()),
        }
    }

    pub(super) fn take_timings(&mut self) -> BTreeMap<(Stage, Variant), EngineTiming> {
        match self {
            Self::Processor { stages, .. } => stages.take_timings(),
            Self::Gpu(pipeline) => pipeline.take_timings(),
        }
    }
}

/// The device that all of these stages were built for.
fn device_of(bundle: &Bundle, stages: &[Stage]) -> anyhow::Result<Device> {
    let mut names: BTreeMap<bool, BTreeSet<&str>> = BTreeMap::new();
    for stage in stages {
        for variant in bundle.variants(stage.name())? {
            let on_gpu = bundle.variant(stage.name(), variant)?.device == Device::Cuda;
            names.entry(on_gpu).or_default().insert(stage.name());
        }
    }
    let list = |on_gpu| names.get(&on_gpu).map(|names| names.iter().copied().collect::<Vec<_>>().join(", "));
    match (list(false), list(true)) {
        (Some(on_processor), Some(on_gpu)) => bail!(
            "bundle {} has engines for the processor ({on_processor}) and engines for a GPU ({on_gpu})\nbuild all stages of the run for one device: \"egom2p build\"",
            bundle.folder().display()
        ),
        (None, Some(_)) => Ok(Device::Cuda),
        (_, None) => Ok(Device::Cpu),
    }
}
