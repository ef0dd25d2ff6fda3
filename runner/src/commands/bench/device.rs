use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use egom2p::{
    benchmark::{CeilingGraphs, Ceilings, ClipLatency, ClipScope, fill, measure_device_clips},
    device_pipeline::{DevicePipeline, DevicePipelineMemory, DevicePlan},
    generation::GenerationSettings,
    pipeline::{Given, PipelineError},
};
use egom2p_calibration::Precision;
use egom2p_device::{ComputeDevice, DeviceMemory, open_cuda};
use egom2p_engine_core::{Device, SessionOptions};
use egom2p_engines::{BackendOptions, Bundle, BundleVariant, open_backend};
use egom2p_model::ModelConfig;
use indicatif::ProgressBar;

use super::{Batch, ClipsMeasured, Request, plan::ClipsPlan};

/// The GPU that the engines of a bundle run on, and what was seen of its memory.
pub(in crate::commands) struct OnDevice {
    device: Arc<dyn ComputeDevice>,
    /// Before anything was loaded.
    pub(super) memory: DeviceMemory,
    /// What the last pipeline took, by the scope and the batch of its clips.
    pub(super) pipelines: Vec<(ClipScope, NonZeroUsize, DevicePipelineMemory)>,
}

impl OnDevice {
    /// The first visible GPU, if that is where all engines run; `None` for the processor.
    pub(in crate::commands) fn open(
        bundle: &Bundle,
        batch: Batch,
        options: &BackendOptions,
    ) -> anyhow::Result<Option<Self>> {
        let mut on_gpu = engines(bundle).map(|engine| engine.device == Device::Cuda);
        let Some(first) = on_gpu.next() else { return Ok(None) };
        if on_gpu.any(|other| other != first) {
            bail!(
                "some engines of bundle {} run on the processor and some on a GPU\nbuild all of them for one device",
                bundle.folder().display()
            );
        }
        if first {
            // A program without the backend is of no use on any GPU.
            for engine in engines(bundle) {
                open_backend(engine.backend.parse()?, options)?;
            }
            let device = open_cuda(0)?;
            let memory = device.memory()?;
            return Ok(Some(Self { device, memory, pipelines: Vec::new() }));
        }
        if batch != Batch::Clips(NonZeroUsize::MIN) {
            bail!("the engines of this bundle run on the processor, one clip at a time\nleave --batch out");
        }
        Ok(None)
    }

    /// The device.
    pub(in crate::commands) fn device(&self) -> &Arc<dyn ComputeDevice> {
        &self.device
    }

    /// What the largest pipeline took.
    pub(super) fn peak_bytes(&self) -> Option<u64> {
        self.pipelines.iter().map(|(.., memory)| memory.used_bytes).max()
    }

    /// Measures whole clips as far as the bundle has the stages.
    pub(super) fn measure_all_clips(
        &mut self,
        request: &Request<'_>,
        config: &ModelConfig,
        plan: &ClipsPlan,
        settings: &GenerationSettings,
        bar: &ProgressBar,
    ) -> anyhow::Result<ClipsMeasured> {
        let mut clips = ClipsMeasured::new(plan);
        let Some(n_timed) = NonZeroUsize::new(plan.n_timed) else { return Ok(clips) };
        for (scope, given) in &plan.scopes {
            bar.set_message(format!("clips to {}", scope.name()));
            #[allow(clippy::result_large_err, reason = "it is the error of the pipeline, and comes once")]
            let mut measure = |batch| {
                let bundle = Bundle::open(request.bundle, request.engines.backend_options()).map_err(of_bundle)?;
                self.measure_clips(bundle, config, settings, (*scope, given), (batch, n_timed), request)
            };
            match request.batch {
                Batch::Clips(batch) => clips.measured.push(measure(batch)?),
                Batch::Fill => {
                    let filling = fill(measure)?;
                    clips.measured.push(filling.measured[0].clone());
                    clips.fillings.push(filling);
                }
            }
            bar.inc(n_timed.get() as u64 + 1);
        }
        Ok(clips)
    }

    #[allow(clippy::result_large_err, reason = "it is the error of the pipeline, and comes once")]
    fn measure_clips(
        &mut self,
        bundle: Bundle,
        config: &ModelConfig,
        settings: &GenerationSettings,
        (scope, given): (ClipScope, &Given),
        (batch, n_timed): (NonZeroUsize, NonZeroUsize),
        request: &Request<'_>,
    ) -> Result<ClipLatency, PipelineError> {
        let plan = DevicePlan {
            given: given.tokens.iter().map(|tokens| tokens.modality).collect(),
            video: given.video.as_ref().map(|(modality, _)| *modality),
            batch,
            detokenize: scope == ClipScope::Predictions,
        };
        let device = Arc::clone(&self.device);
        let options = request.engines.session_options();
        let mut pipeline = DevicePipeline::new(bundle, device, config, settings, &plan, &options)?;
        let clips = vec![given.clone(); batch.get()];
        let latency = measure_device_clips(&mut pipeline, (config, settings), &clips, (scope, n_timed), &mut || ())?;
        self.pipelines.push((scope, batch, pipeline.memory()));
        Ok(latency)
    }

    /// Measures the ceilings of the device through the backend of the first engine and in its precision.
    pub(super) fn measure_ceilings(
        &self,
        request: &Request<'_>,
        bundle: &Bundle,
        graphs: &CeilingGraphs,
        runs: (&SessionOptions, Duration),
    ) -> anyhow::Result<Ceilings> {
        let engine = engines(bundle).next().context("this bundle has no engines\nbuild it from an exported folder")?;
        let backend = open_backend(engine.backend.parse()?, &request.engines.backend_options())?;
        let precision: Precision = engine.precision.parse()?;
        Ok(graphs.measure_on(&*backend, &self.device, precision, &engine.options, runs)?)
    }
}

fn engines(bundle: &Bundle) -> impl Iterator<Item = &BundleVariant> {
    bundle.manifest().stages.values().flat_map(|variants| variants.values())
}

fn of_bundle(error: egom2p_engines::BundleError) -> PipelineError {
    PipelineError::Generation(egom2p::generation::GenerationError::Stages(error.into()))
}
