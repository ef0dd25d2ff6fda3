//! `bf16`, which ONNX Runtime computes on no CPU: the graphs themselves, run by the reference interpreter.

use egom2p_calibration::{Precision, with_precision};
use egom2p_graph::{Literal, interpreter::interpret};
use egom2p_model::{Modality, ModelConfig, Stage, Variant, stage_graph};
use egom2p_tests::{
    goldens::ReproducibleParameters,
    published::{Difference, Golden, HalfTolerance},
};

/// Decoded clips: about twice what was measured, and eight times what `fp16` costs, which keeps three bits more.
const CLIPS: HalfTolerance = HalfTolerance { norm: 0.07, largest: 0.1 };

#[test]
fn slow_gaze_tokenizer() {
    tokenizer("gaze_tokenizer", Modality::Gaze);
}

#[test]
fn slow_cam_tokenizer() {
    tokenizer("cam_tokenizer", Modality::Camera);
}

/// Both directions of one clip.
fn tokenizer(name: &str, modality: Modality) {
    let Some(golden) = Golden::open(name) else { return };
    let one_clip = |tensor: &str| {
        let mut shape = golden.shape(tensor);
        let n_clips = std::mem::replace(&mut shape[0], 1);
        (shape, n_clips)
    };
    let (shape, n_clips) = one_clip("x");
    let clips = golden.floats("x");
    let clip = Literal::f32(shape, clips[..clips.len() / n_clips].to_vec()).expect("the file is sound");
    let (shape, n_clips) = one_clip("tokens");
    let tokens = golden.integers("tokens");
    let tokens = &tokens[..tokens.len() / n_clips];
    let given = Literal::i64(shape, tokens.to_vec()).expect("the file is sound");

    let encoded = run(&golden, Stage::tokenizer(modality), (modality.name(), clip));
    let encoded = encoded.as_i64().expect("tokens");
    let n_equal = encoded.iter().zip(tokens).filter(|(a, b)| a == b).count();
    let decoded = run(&golden, Stage::detokenizer(modality), ("tokens", given));
    let decoded = decoded.as_f32().expect("a clip");
    let difference = Difference::of(decoded, &golden.floats("decoded")[..decoded.len()]);
    say(&format!("{name} in bf16: {n_equal} of {} tokens equal; decoded: {difference} of {CLIPS}", tokens.len()));
    assert!(n_equal * 10 >= tokens.len() * 9, "tokens");
    assert!(difference.is_within(CLIPS), "the decoded clip");
}

fn run(golden: &Golden, stage: Stage, input: (&'static str, Literal)) -> Literal {
    let config = ModelConfig::from_golden_json(golden.description()).expect("the sizes of a model");
    let seed = golden.description()["weight_seed"].as_u64().expect("a seed is a number");
    let [_, video_side, _] = config.video.grid();
    let weights = ReproducibleParameters { part: stage.weights_file(), seed, video_side };
    let graph = stage_graph(&config, stage, Variant::Default).expect("a sound stage");
    let graph = with_precision(&graph, Precision::Bf16).expect("a sound graph");
    let mut outputs = interpret(&graph, &[input], &weights).expect("the inputs are legal");
    outputs.remove(0).1
}

#[expect(clippy::print_stderr, reason = "the measured differences belong to the test's report")]
fn say(text: &str) {
    eprintln!("{text}");
}
