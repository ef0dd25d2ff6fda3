//! What measures a bundle on a device, with the processor as the device. How long anything takes is never asserted.
#![allow(clippy::result_large_err, reason = "it is the error of the pipeline, and comes once")]

#[allow(dead_code, reason = "the smallest bundle is enough here")]
#[path = "../device_loop/bundle.rs"]
mod bundle;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use egom2p::{
    benchmark::{
        CeilingGraphs, ClipScope, EngineRuns, FillingEnd, Synthetic, fill, measure_device_clips, measure_engine,
    },
    device_pipeline::{DevicePipeline, DevicePlan},
    generation::{Chaining, GenerationSettings, ModalityTokens, TargetSettings},
    pipeline::Given,
};
use egom2p_calibration::Precision;
use egom2p_device::{ComputeDevice, HostDevice};
use egom2p_engine_core::CompileOptions;
use egom2p_engines::{BackendKind, BackendOptions, open_backend};
use egom2p_model::{Modality, Stage, Variant};

use crate::bundle::TestBundle;

const SEED: u64 = 3;

fn device() -> Arc<dyn ComputeDevice> {
    HostDevice::new(4 << 30)
}

/// One step of camera tokens.
fn settings() -> GenerationSettings {
    GenerationSettings {
        targets: vec![TargetSettings { n_steps: 1, ..TargetSettings::published(Modality::Camera) }],
        seed: SEED,
        chaining: Chaining::Growing,
        reuse_encoder: false,
        head_rows: NonZeroUsize::new(256).expect("not zero"),
        n_threads: NonZeroUsize::MIN,
    }
}

#[test]
fn engines_are_measured_with_and_without_transfers() {
    let Some(bundle) = TestBundle::small() else { return };
    let (config, bundle, device) = (bundle.config.clone(), bundle.open(), device());
    let options = TestBundle::session_options();
    let runs = EngineRuns { device: Some(&device), options: &options, budget: Duration::ZERO, seed: SEED };
    let free = device.memory().expect("the host says").free_bytes;
    for (stage, variant, n_tokens) in [
        (Stage::Encoder, Variant::Unmasked, config.n_tokens(Modality::Rgb)),
        (Stage::Decoder, Variant::Unmasked, config.n_tokens(Modality::Depth).div_ceil(3)),
        (Stage::HeadCamera, Variant::Default, config.n_tokens(Modality::Depth).div_ceil(3)),
    ] {
        let engine = measure_engine(&bundle, &config, (stage, variant.name()), runs);
        let engine = engine.unwrap_or_else(|error| panic!("{stage}: {error}"));
        let with_transfers = engine.with_transfers.expect("it ran on a device");
        assert!(engine.latency.runs() >= 3 && with_transfers.runs() >= 3, "{stage}");
        assert!(engine.latency.min_secs() > 0.0 && with_transfers.min_secs() > 0.0, "{stage}");
        assert_eq!(engine.tokens, n_tokens, "{stage}");
    }
    assert_eq!(device.memory().expect("the host says").free_bytes, free, "tensors are given back");
}

#[test]
fn batches_grow_until_that_does_not_pay() {
    let Some(bundle) = TestBundle::small() else { return };
    let (device, config, settings) = (device(), bundle.config.clone(), settings());
    let tokens =
        ModalityTokens { modality: Modality::Rgb, tokens: Synthetic::new(&config, SEED).tokens(Modality::Rgb) };
    let clip = Given { video: None, tokens: vec![tokens] };
    let mut tried = Vec::new();
    let filling = fill(|batch| {
        tried.push(batch.get());
        let plan = DevicePlan { given: vec![Modality::Rgb], video: None, batch, detokenize: false };
        let options = TestBundle::session_options();
        let device = Arc::clone(&device);
        let mut pipeline = DevicePipeline::new(bundle.open(), device, &config, &settings, &plan, &options)?;
        assert!(pipeline.memory().used_bytes > 0);
        let clips = vec![clip.clone(); batch.get()];
        let n_batches = NonZeroUsize::MIN;
        let mut n_seen = 0;
        let scope = (ClipScope::Tokens, n_batches);
        let latency = measure_device_clips(&mut pipeline, (&config, &settings), &clips, scope, &mut || n_seen += 1)?;
        assert_eq!((n_seen, latency.latency.runs(), latency.batch), (2, 1, batch));
        assert!(latency.secs.generate > 0.0 && latency.engines.contains_key(&(Stage::Encoder, Variant::Unmasked)));
        Ok(latency)
    });
    let filling = filling.unwrap_or_else(|error| panic!("{error}"));
    // The engines were built for four clips; whether two or four pay depends on the machine.
    let measured: Vec<usize> = filling.measured.iter().map(|latency| latency.batch.get()).collect();
    match filling.end {
        FillingEnd::Ranges => assert_eq!((tried, measured), (vec![1, 2, 4, 8], vec![1, 2, 4])),
        FillingEnd::Gain => assert_eq!(tried, measured),
        end => panic!("{end:?}"),
    }
    let first = &filling.measured[0];
    assert_eq!(first.tokens, config.n_tokens(Modality::Camera));
    assert!(filling.best().clips_per_sec() >= first.clips_per_sec());
}

#[test]
fn a_batch_that_does_not_fit_ends_the_search() {
    let Some(bundle) = TestBundle::small() else { return };
    let (config, settings) = (bundle.config.clone(), settings());
    let make = |device: Arc<dyn ComputeDevice>, batch| {
        let plan = DevicePlan { given: vec![Modality::Rgb], video: None, batch, detokenize: false };
        DevicePipeline::new(bundle.open(), device, &config, &settings, &plan, &TestBundle::session_options())
    };
    let used = make(device(), NonZeroUsize::MIN).unwrap_or_else(|error| panic!("{error}")).memory().used_bytes;
    let clip =
        vec![ModalityTokens { modality: Modality::Rgb, tokens: Synthetic::new(&config, SEED).tokens(Modality::Rgb) }];
    let clip = Given { video: None, tokens: clip };
    let filling = fill(|batch| {
        let mut pipeline = make(HostDevice::new(used + used / 8), batch)?;
        let clips = vec![clip.clone(); batch.get()];
        let scope = (ClipScope::Tokens, NonZeroUsize::MIN);
        measure_device_clips(&mut pipeline, (&config, &settings), &clips, scope, &mut || ())
    });
    let filling = filling.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((filling.measured.len(), filling.end), (1, FillingEnd::Memory));
}

#[test]
fn ceilings_of_a_device_are_measured_through_the_backend() {
    if TestBundle::small().is_none() {
        return;
    }
    let backend = open_backend(BackendKind::OnnxRuntime, &BackendOptions::default()).expect("it is in this program");
    let graphs = CeilingGraphs::write().expect("a folder for temporary files");
    let runs = (&TestBundle::session_options(), Duration::ZERO);
    let ceilings = graphs.measure_on(&*backend, &device(), Precision::Fp32, &CompileOptions::default(), runs);
    let ceilings = ceilings.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((ceilings.backend.as_str(), ceilings.precision.as_str()), ("onnxruntime", "fp32"));
    for rate in [ceilings.matrix_flops_per_sec, ceilings.memory_bytes_per_sec] {
        assert!(rate.is_finite() && rate > 0.0, "{rate}");
    }
}
