//! The decoding loop on a device against the loop on the processor: the processor as the device, engines of ONNX Runtime,
//! the kernels compiled for the host.

mod bundle;
mod streams;

use std::{collections::BTreeMap, fs, num::NonZeroUsize, process::Command};

use egom2p::{
    decoding::{SamplerSettings, TopK},
    device_pipeline::{DevicePipeline, DevicePlan},
    engine_stages::EngineStages,
    frames::Frames,
    generation::{
        Chaining, Generated, GenerationSettings, GuidanceOn, ModalityTokens, StepReport, TargetSettings, generate,
    },
    io::{TokenArray, write_tokens},
    pipeline::{Given, Prediction, predict},
};
use egom2p_device::{ComputeDevice as _, HostDevice};
use egom2p_model::{Modality, ModelConfig};

use crate::bundle::TestBundle;

const RGB: Modality = Modality::Rgb;
/// More than the loop takes.
const DEVICE_BYTES: u64 = 4 << 30;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("at least one")
}

/// The published settings.
fn published(targets: &[Modality]) -> GenerationSettings {
    GenerationSettings {
        targets: targets.iter().map(|&modality| TargetSettings::published(modality)).collect(),
        seed: 5,
        chaining: Chaining::Growing,
        reuse_encoder: false,
        head_rows: n(256),
        n_threads: n(1),
    }
}

fn motion(change: impl Fn(&mut TargetSettings)) -> GenerationSettings {
    let mut settings = published(&[Modality::Camera, Modality::Gaze]);
    settings.targets.iter_mut().for_each(change);
    settings
}

/// Tokens of a modality that differ from clip to clip.
fn tokens(config: &ModelConfig, modality: Modality, clip: usize) -> ModalityTokens {
    let (n_tokens, vocabulary) = (config.n_tokens(modality), config.vocabulary(modality));
    let token = |position: usize| ((position * 7919 + clip * 104_729 + 13) % vocabulary) as i64;
    ModalityTokens { modality, tokens: (0..n_tokens).map(token).collect() }
}

fn plan(batch: usize, given: &[Modality]) -> DevicePlan {
    DevicePlan { given: given.to_vec(), video: None, batch: n(batch), detokenize: false }
}

fn pipeline(bundle: &TestBundle, settings: &GenerationSettings, plan: &DevicePlan) -> DevicePipeline {
    let device = HostDevice::new(DEVICE_BYTES);
    DevicePipeline::new(bundle.open(), device, &bundle.config, settings, plan, &TestBundle::session_options())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn on_device(bundle: &TestBundle, settings: &GenerationSettings, clips: &[Vec<ModalityTokens>]) -> Vec<Generated> {
    let given: Vec<Modality> = clips[0].iter().map(|tokens| tokens.modality).collect();
    let mut pipeline = pipeline(bundle, settings, &plan(clips.len(), &given));
    pipeline.generate(clips, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

fn on_processor(bundle: &TestBundle, settings: &GenerationSettings, clip: &[ModalityTokens]) -> Generated {
    let mut stages = EngineStages::new(bundle.open(), TestBundle::session_options());
    generate(&mut stages, &bundle.config, clip, settings, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

/// Fails unless tokens and reports agree, wall times aside.
fn assert_same(name: &str, device: &Generated, processor: &Generated) {
    assert_eq!(device.targets, processor.targets, "{name}");
    let timeless = |generated: &Generated| {
        let steps = generated.steps.iter().cloned();
        steps.map(|step| StepReport { secs: egom2p::generation::StepSecs::default(), ..step }).collect::<Vec<_>>()
    };
    assert_eq!(timeless(device), timeless(processor), "{name}");
}

#[test]
fn tokens_are_those_of_the_loop_on_the_processor() {
    let Some(bundle) = TestBundle::small() else { return };
    let sampler = |sampler: SamplerSettings| motion(move |target| target.sampler = sampler);
    let warm = SamplerSettings { temperature: 1.0, top_p: 0.8, top_k: TopK::Off };
    let few_rows = GenerationSettings { head_rows: n(7), ..motion(|_| ()) };
    let independent = GenerationSettings { chaining: Chaining::Independent, ..motion(|_| ()) };
    let side_by_side =
        GenerationSettings { chaining: Chaining::Independent, head_rows: n(4), ..motion(|target| target.n_steps = 3) };
    let cases = [
        ("published", motion(|_| ())),
        ("greedy", sampler(SamplerSettings { temperature: 0.0, ..warm })),
        ("warm", sampler(warm)),
        ("top-k", sampler(SamplerSettings { top_k: TopK::Count(20), ..warm })),
        ("without guidance", motion(|target| target.guidance = 1.0)),
        ("probabilities", motion(|target| target.guidance_on = GuidanceOn::Probabilities)),
        (
            "empty steps",
            motion(|target| {
                target.schedule = egom2p::decoding::TokenSchedule::Cosine;
                target.n_steps = 40;
            }),
        ),
        ("few rows", few_rows),
        ("independent", independent.clone()),
        ("side by side", side_by_side.clone()),
        ("reuse", GenerationSettings { reuse_encoder: true, ..motion(|_| ()) }),
        ("reuse, independent", GenerationSettings { reuse_encoder: true, ..independent }),
        ("reuse, side by side", GenerationSettings { reuse_encoder: true, ..side_by_side }),
    ];
    for (name, settings) in cases {
        let clip = vec![tokens(&bundle.config, RGB, 0)];
        let device = on_device(&bundle, &settings, std::slice::from_ref(&clip));
        assert_same(name, &device[0], &on_processor(&bundle, &settings, &clip));
    }
}

#[test]
fn nothing_given_and_two_conditions() {
    let Some(bundle) = TestBundle::small() else { return };
    let settings = motion(|target| target.sampler.temperature = 1.0);
    for clip in [vec![], vec![tokens(&bundle.config, RGB, 1), tokens(&bundle.config, Modality::Depth, 2)]] {
        let device = on_device(&bundle, &settings, std::slice::from_ref(&clip));
        assert_same("conditions", &device[0], &on_processor(&bundle, &settings, &clip));
    }
}

#[test]
fn clips_of_a_batch_get_their_own_tokens() {
    let Some(bundle) = TestBundle::small() else { return };
    let clips: Vec<_> = (0..2).map(|clip| vec![tokens(&bundle.config, RGB, clip)]).collect();
    let growing = motion(|target| target.sampler.temperature = 1.0);
    let side_by_side =
        GenerationSettings { chaining: Chaining::Independent, head_rows: n(4), ..motion(|target| target.n_steps = 2) };
    for (name, settings) in [("growing", growing), ("side by side", side_by_side)] {
        let mut pipeline = pipeline(&bundle, &settings, &plan(2, &[RGB]));
        let device = pipeline.generate(&clips, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        for (clip, device) in clips.iter().zip(&device) {
            assert_same(name, device, &on_processor(&bundle, &settings, clip));
        }
        let alone = pipeline.generate(&clips[1..], &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        assert_same("fewer clips than planned", &alone[0], &device[1]);
    }
}

#[test]
fn a_video_in_chunks_of_the_head() {
    let Some(bundle) = TestBundle::small() else { return };
    let settings = GenerationSettings { head_rows: n(10), ..published(&[Modality::Depth]) };
    let clip = vec![tokens(&bundle.config, RGB, 3)];
    let device = on_device(&bundle, &settings, std::slice::from_ref(&clip));
    assert_same("depth", &device[0], &on_processor(&bundle, &settings, &clip));
}

#[test]
fn slow_clips_of_the_tiny_preset() {
    let Some(bundle) = TestBundle::tiny() else { return };
    let settings =
        GenerationSettings { head_rows: n(64), ..published(&[Modality::Camera, Modality::Gaze, Modality::Depth]) };
    let clips: Vec<_> = (0..2).map(|clip| vec![tokens(&bundle.config, RGB, clip)]).collect();
    for reuse_encoder in [false, true] {
        let settings = GenerationSettings { reuse_encoder, ..settings.clone() };
        for (clip, device) in clips.iter().zip(on_device(&bundle, &settings, &clips)) {
            assert_same("tiny", &device, &on_processor(&bundle, &settings, clip));
        }
    }
}

#[test]
fn slow_frames_become_predictions() {
    let Some(bundle) = TestBundle::tiny() else { return };
    let mut settings = published(&[Modality::Camera, Modality::Depth, Modality::Gaze]);
    settings.targets.iter_mut().for_each(|target| target.n_steps = 2);
    let video = bundle.config.video;
    let pixels = (0..video.frames * video.height * video.width * 3).map(|index| (index * index % 251) as u8).collect();
    let frames = Frames::new(pixels, video.frames, video.height, video.width).expect("as many pixels");
    let given = Given { video: Some((RGB, frames)), tokens: Vec::new() };
    let plan = DevicePlan { given: Vec::new(), video: Some(RGB), batch: n(2), detokenize: true };
    let mut first = pipeline(&bundle, &settings, &plan);
    let mut second = first.another().unwrap_or_else(|error| panic!("{error}"));
    let mut stages = EngineStages::new(bundle.open(), TestBundle::session_options());
    let expected = predict(&mut stages, &bundle.config, given.clone(), &settings, &mut |_| ());
    let expected = expected.unwrap_or_else(|error| panic!("{error}"));
    let same = |prediction: &Prediction| {
        assert_same("a clip", &prediction.generated, &expected.generated);
        assert_eq!(prediction.given, expected.given);
        assert_eq!(prediction.camera, expected.camera);
        assert_eq!(prediction.gaze, expected.gaze);
        assert_eq!(prediction.depth, expected.depth);
    };
    let mut n_steps = 0;
    let both = first.predict(vec![given.clone(), given.clone()], &mut |_| n_steps += 1);
    both.unwrap_or_else(|error| panic!("{error}")).iter().for_each(same);
    assert_eq!(n_steps, 12, "two clips of three targets in two steps");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| second.predict(vec![given.clone()], &mut |_| ()).map_err(Box::new));
        let own = first.predict(vec![given.clone()], &mut |_| ()).map_err(Box::new);
        for one in [own, other.join().expect("no panic")] {
            one.unwrap_or_else(|error| panic!("{error}")).iter().for_each(same);
        }
    });
    assert!(first.memory().tensors_bytes > 0 && first.memory().used_bytes >= first.memory().tensors_bytes);
}

#[test]
fn what_does_not_fit_is_refused_in_two_lines() {
    let Some(bundle) = TestBundle::small() else { return };
    let settings = motion(|_| ());
    let new = |batch, bytes| {
        let (plan, options) = (plan(batch, &[RGB]), TestBundle::session_options());
        DevicePipeline::new(bundle.open(), HostDevice::new(bytes), &bundle.config, &settings, &plan, &options)
            .map_err(|error| error.to_string())
    };
    let refusal = |result: Result<DevicePipeline, String>| match result {
        Ok(_) => panic!("this does not fit"),
        Err(error) => error,
    };
    assert_eq!(
        refusal(new(5, DEVICE_BYTES)),
        "dimension batch is 5: this engine was built for 1 to 4\n\
         build again with a profile that covers it: \"egom2p build --profile FILE\""
    );
    let tensors_bytes =
        |batch| new(batch, DEVICE_BYTES).unwrap_or_else(|error| panic!("{error}")).memory().tensors_bytes;
    let [one, three, four] = [1, 3, 4].map(tensors_bytes);
    for (total_bytes, fits, mend) in [
        (three, "3 clips would fit", "--batch 3, "),
        (four - 1, "3 clips would fit", "--batch 3, "),
        (one, "1 clip would fit", "--batch 1, "),
        (one - 1, "even one clip does not fit", ""),
    ] {
        assert_eq!(
            refusal(new(4, total_bytes)),
            format!(
                "host has {total_bytes} bytes of memory free of {total_bytes} after 0 of weights, expected 0 of scratch and {four} of tensors for 4 clips decoded together: {fits}\n\
                 use {mend}engines of half precision, or a device with more memory"
            )
        );
    }
    assert!(new(3, three).is_ok() && new(1, one).is_ok());
    let mut pipeline = new(1, DEVICE_BYTES).unwrap_or_else(|error| panic!("{error}"));
    let mut generate = |clips: &[Vec<ModalityTokens>]| match pipeline.generate(clips, &mut |_| ()) {
        Ok(_) => panic!("this does not fit"),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        generate(&[vec![tokens(&bundle.config, Modality::Depth, 0)]]),
        "a clip brings tokens of depth, expected tokens of rgb\ngive every clip the inputs that were planned"
    );
    let two = [vec![tokens(&bundle.config, RGB, 0)], vec![tokens(&bundle.config, RGB, 1)]];
    assert!(generate(&two).starts_with("2 clips are to be decoded together, expected 1 to 1\n"));
    assert!(generate(&[]).starts_with("0 clips are to be decoded together, expected 1 to 1\n"));
}

#[test]
fn memory_is_given_back() {
    let Some(bundle) = TestBundle::small() else { return };
    let device = HostDevice::new(DEVICE_BYTES);
    let free = |device: &HostDevice| device.memory().expect("the host says").free_bytes;
    let before = free(&device);
    let pipeline = DevicePipeline::new(
        bundle.open(),
        device.clone(),
        &bundle.config,
        &motion(|_| ()),
        &plan(2, &[RGB]),
        &TestBundle::session_options(),
    );
    assert!(free(&device) < before);
    drop(pipeline);
    assert_eq!(free(&device), before);
}

#[test]
fn what_only_a_gpu_has_is_refused_for_a_bundle_for_the_processor() {
    let Some(bundle) = TestBundle::tiny() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ModalityTokens { tokens, .. } = tokens(&bundle.config, RGB, 0);
    let array = TokenArray { shape: bundle.config.video.grid().to_vec(), tokens };
    let mut file = fs::File::create(folder.path().join("rgb.safetensors")).expect("the folder is writable");
    write_tokens(&mut file, &BTreeMap::from([("rgb".to_owned(), array)])).expect("the folder is writable");
    for flag in ["--gpu", "--batch", "--streams"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egom2p"));
        command.current_dir(folder.path()).arg("run").arg(bundle.folder());
        command.args(["--tokens", "rgb=rgb.safetensors", "--to", "camera", "--out", "out", flag, "2"]);
        let output = command.output().expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let what = format!("error: {flag} is for bundles for a GPU: the engines of ");
        assert!(text.starts_with(&what) && text.lines().count() == 2, "{text}");
        assert!(!folder.path().join("out").exists());
    }
}
