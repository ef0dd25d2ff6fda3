//! The published gaze and camera tokenizers: clips to tokens, tokens to clips, and values inside both.

use egom2p::{motion as convert, stages::Stages as _, tokenizer::detokenize_motion};
use egom2p_engine_core::Tensor;
use egom2p_model::{Modality, Stage, Variant};
use egom2p_tests::published::{BuiltModel, Comparison, Form, Golden, InsideEngine, ModelRecipe, Place};

use crate::{all_threads, finish, golden};

in_every_form!(slow_gaze_tokenizer, slow_cam_tokenizer);

fn slow_gaze_tokenizer(form: Form) {
    let Some(golden) = golden("gaze_tokenizer") else { return };
    let mut comparison = Comparison::new(&golden, form);
    let decoded = tokenizer(&mut comparison, &golden, form, Modality::Gaze);
    let denormalised = convert::denormalise_gaze(&decoded).expect("whole frames");
    comparison.floats("denormalised", denormalised.as_flattened());
    finish(comparison, &golden);
}

fn slow_cam_tokenizer(form: Form) {
    let Some(golden) = golden("cam_tokenizer") else { return };
    let mut comparison = Comparison::new(&golden, form);
    let decoded = tokenizer(&mut comparison, &golden, form, Modality::Camera);
    let denormalised = convert::denormalise_camera(&decoded).expect("whole frames");
    comparison.floats("denormalised", denormalised.as_flattened());
    let poses = convert::world_from_camera(&denormalised).expect("rotations");
    let rotations: Vec<f32> =
        poses.iter().flat_map(|pose| pose.rotation.as_flattened()).map(|&value| value as f32).collect();
    comparison.floats("rotmat", &rotations);
    finish(comparison, &golden);
}

/// Both directions; gives what the decoder made of the stored tokens.
fn tokenizer(comparison: &mut Comparison<'_>, golden: &Golden, form: Form, modality: Modality) -> Vec<f32> {
    let model = ModelRecipe::of(golden, form).cached();
    let mut stages = model.stages(all_threads());
    let clip = |name: &str| Tensor::f32(golden.shape(name), golden.floats(name)).expect("the file is sound");
    for (clip_name, tokens, margin) in [("x", "tokens", "margin"), ("random_x", "random_x_tokens", "random_x_margin")] {
        let encoded = stages.run_one(Stage::tokenizer(modality), &[(modality.name(), &clip(clip_name))]);
        let encoded = encoded.and_then(|tokens| Ok(tokens.into_i64()?)).unwrap_or_else(|error| panic!("{error}"));
        comparison.tokens(tokens, &encoded, &golden.floats(margin), "cos_top1");
    }
    let mut decode = |tokens: &str| -> Vec<f32> {
        let samples = golden.integers(tokens);
        let samples = samples.chunks_exact(model.config().n_tokens(modality));
        samples
            .flat_map(|tokens| {
                let clip = detokenize_motion(&mut stages, model.config(), modality, tokens);
                clip.unwrap_or_else(|error| panic!("{error}"))
            })
            .collect()
    };
    let decoded = decode("tokens");
    comparison.floats("decoded", &decoded);
    comparison.floats("random_decoded", &decode("random_tokens"));
    drop(stages);
    inside_encoder(comparison, &model, modality, &clip("x"));
    inside_decoder(comparison, golden, &model, modality);
    decoded
}

fn inside_encoder(comparison: &mut Comparison<'_>, model: &BuiltModel, modality: Modality, clip: &Tensor) {
    let places = ["encoder/add/", "quant_proj/", "linear/"].map(|path| Place { path, rank: 3 });
    let stage = Stage::tokenizer(modality);
    let mut inside = InsideEngine::new(model, stage, Variant::Default, &places, all_threads());
    let values = inside.run(&[(modality.name(), clip)]);
    comparison.floats("encoder_out", &channels_first(&values[0]));
    comparison.floats("latent", &channels_first(&values[1]));
    let n_codes = model.config().motion.vocabulary;
    let cosines = values[2].as_f32().expect("floats").chunks_exact(n_codes);
    let best_two = cosines.map(|cosines| {
        let mut sorted = cosines.to_vec();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        (sorted[0], sorted[0] - sorted[1])
    });
    let (best, margin): (Vec<f32>, Vec<f32>) = best_two.unzip();
    comparison.floats("cos_top1", &best);
    comparison.floats("margin", &margin);
}

fn inside_decoder(comparison: &mut Comparison<'_>, golden: &Golden, model: &BuiltModel, modality: Modality) {
    let places = ["embedding/", "post_quant_proj/"].map(|path| Place { path, rank: 3 });
    let stage = Stage::detokenizer(modality);
    let mut inside = InsideEngine::new(model, stage, Variant::Default, &places, all_threads());
    let tokens = Tensor::i64(golden.shape("tokens"), golden.integers("tokens")).expect("the file is sound");
    let values = inside.run(&[("tokens", &tokens)]);
    comparison.floats("quant", &channels_first(&values[0]));
    comparison.floats("post_quant", &channels_first(&values[1]));
}

/// `[batch, tokens, channels]` as the published code has it: `[batch, channels, tokens]`.
fn channels_first(value: &Tensor) -> Vec<f32> {
    let [_, n_tokens, n_channels] = *value.shape() else { panic!("expected three axes") };
    let samples = value.as_f32().expect("floats").chunks_exact(n_tokens * n_channels);
    samples
        .flat_map(|sample| {
            (0..n_channels * n_tokens).map(|index| sample[index % n_tokens * n_channels + index / n_tokens])
        })
        .collect()
}
