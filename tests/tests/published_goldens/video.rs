//! The published video tokenizer: frames to tokens, tokens to frames, and values inside both.

use egom2p::{
    engine_stages::EngineStages,
    frames::Frames,
    stages::Stages as _,
    tokenizer::{detokenize_video, tokenize_video},
};
use egom2p_engine_core::Tensor;
use egom2p_model::{Stage, Variant};
use egom2p_tests::published::{BuiltModel, Comparison, Form, Golden, InsideEngine, ModelRecipe, Place, Recorder};

use crate::{all_threads, finish, golden};

/// Every how many channels a stored value inside the tokenizer has.
const CHANNEL_STEP: usize = 8;

in_every_form!(slow_video_tokenizer_clip9, slow_video_tokenizer_clip17, slow_video_tokenizer_real16);

fn slow_video_tokenizer_clip9(form: Form) {
    let Some(golden) = golden("video_tokenizer_clip9") else { return };
    let model = ModelRecipe::of(&golden, form).cached();
    let mut comparison = Comparison::new(&golden, form);
    let mut stages = Recorder::new(model.stages(all_threads()));
    let clip = short_clip(&mut comparison, &golden, &mut stages);
    compare_pixels(&mut comparison, &golden, &clip, 1);
    drop(stages);

    let places = [
        ("latent", "quant_conv.conv3d/", 1),
        ("bounded", "fsq_quantize/Sub", 1),
        ("tap/enc_patch", "haar_patch/", CHANNEL_STEP),
        ("tap/enc_conv_in", "encoder.conv_in.1.conv3d/", CHANNEL_STEP),
        ("tap/enc_down0_downsample", "encoder.down.0.downsample.conv3.conv3d/", 1),
        ("tap/enc_mid_block_1", "encoder.mid.block_1/add/", CHANNEL_STEP),
        ("tap/enc_mid_attn_spatial", "encoder.mid.attn_1.0/add/", CHANNEL_STEP),
        ("tap/enc_mid_attn_temporal", "encoder.mid.attn_1.1/add/", CHANNEL_STEP),
        ("tap/encoder_out", "encoder.conv_out.1.conv3d/", 1),
    ];
    let (video, _) = frames(&golden).to_tensor().expect("a clip");
    compare_inside(&mut comparison, &model, (Stage::VideoEncoder, "video", &video), &places);
    let places = [
        ("codes", "fsq_dequantize/", 1),
        ("tap/dec_conv_in", "decoder.conv_in.1.conv3d/", CHANNEL_STEP),
        ("tap/dec_mid_block_2", "decoder.mid.block_2/add/", CHANNEL_STEP),
        ("tap/dec_conv_out", "decoder.conv_out.1.conv3d/", CHANNEL_STEP),
    ];
    compare_inside(&mut comparison, &model, (Stage::VideoDecoder, "tokens", &tokens(&golden)), &places);
    finish(comparison, &golden);
}

fn slow_video_tokenizer_clip17(form: Form) {
    let Some(golden) = golden("video_tokenizer_clip17") else { return };
    let model = ModelRecipe::of(&golden, form).cached();
    let mut comparison = Comparison::new(&golden, form);
    let mut stages = Recorder::new(model.stages(all_threads()));
    let clip = short_clip(&mut comparison, &golden, &mut stages);
    compare_pixels(&mut comparison, &golden, &clip, 2);
    drop(stages);

    let places = [("latent", "quant_conv.conv3d/", 1), ("bounded", "fsq_quantize/Sub", 1)];
    let (video, _) = frames(&golden).to_tensor().expect("a clip");
    compare_inside(&mut comparison, &model, (Stage::VideoEncoder, "video", &video), &places);
    let places = [("codes", "fsq_dequantize/", 1)];
    compare_inside(&mut comparison, &model, (Stage::VideoDecoder, "tokens", &tokens(&golden)), &places);
    finish(comparison, &golden);
}

/// A real clip of the published length and size, as the runner takes and gives it.
fn slow_video_tokenizer_real16(form: Form) {
    let Some(golden) = golden("video_tokenizer_real16") else { return };
    let model = ModelRecipe::of(&golden, form).cached();
    let mut comparison = Comparison::new(&golden, form);
    let mut stages = Recorder::new(model.stages(all_threads()));

    let encoded = tokenize_video(&mut stages, model.config(), &frames(&golden));
    let encoded = encoded.unwrap_or_else(|error| panic!("{error}"));
    comparison.tokens("tokens", &encoded, &golden.floats("margin"), "bounded");
    let decoded = detokenize_video(&mut stages, model.config(), &golden.integers("tokens"));
    let decoded = decoded.unwrap_or_else(|error| panic!("{error}"));
    compare_pixels(&mut comparison, &golden, &decoded.frames, 1);
    let video = &stages.calls.last().expect("the decoder ran").outputs[0].1;
    comparison.floats("decoded_crop", &crop(video, 96, 64));
    drop(stages);

    let places = [("latent", "quant_conv.conv3d/", 1), ("bounded", "fsq_quantize/Sub", 1)];
    let (video, _) = frames(&golden).to_tensor().expect("a clip");
    compare_inside(&mut comparison, &model, (Stage::VideoEncoder, "video", &video), &places);
    finish(comparison, &golden);
}

/// Both directions of a clip of another size than the model's; gives what the decoder made of the stored tokens.
fn short_clip(comparison: &mut Comparison<'_>, golden: &Golden, stages: &mut Recorder<EngineStages>) -> Frames {
    let (video, own) = frames(golden).to_tensor().expect("a clip");
    let encoded = stages.run_one(Stage::VideoEncoder, &[("video", &video)]);
    let encoded = encoded.and_then(|tokens| Ok(tokens.into_i64()?)).unwrap_or_else(|error| panic!("{error}"));
    // A token is as clear as the least clear of its digits; margins are [digits, t, h, w].
    let margins = golden.floats("margin");
    let least = |token: usize| margins[token..].iter().step_by(encoded.len()).copied().fold(f32::INFINITY, f32::min);
    let margins: Vec<f32> = (0..encoded.len()).map(least).collect();
    comparison.tokens("tokens", &encoded, &margins, "bounded");

    let decoded = stages.run_one(Stage::VideoDecoder, &[("tokens", &tokens(golden))]);
    let decoded = decoded.unwrap_or_else(|error| panic!("{error}"));
    comparison.floats("decoded", decoded.as_f32().expect("floats"));
    Frames::from_tensor(&decoded, own).expect("a video")
}

/// Values inside a stage: the stored tensor, where it is, and every how many channels are stored.
fn compare_inside(
    comparison: &mut Comparison<'_>,
    model: &BuiltModel,
    (stage, input, value): (Stage, &str, &Tensor),
    places: &[(&str, &'static str, usize)],
) {
    let at: Vec<Place> = places.iter().map(|&(_, path, _)| Place { path, rank: 4 }).collect();
    let mut inside = InsideEngine::new(model, stage, Variant::Default, &at, all_threads());
    let values = inside.run(&[(input, value)]);
    for ((name, _, step), value) in places.iter().zip(&values) {
        comparison.floats(name, &channels_first(value, *step));
    }
}

/// Frames `[frames, channels, height, width]`, as engines hold one clip, to `[channels, frames, height, width]`, of
/// every so many channels.
fn channels_first(value: &Tensor, step: usize) -> Vec<f32> {
    let [_, n_channels, height, width] = *value.shape() else { panic!("expected four axes") };
    let pixels = height * width;
    let frames = value.as_f32().expect("floats").chunks_exact(n_channels * pixels);
    let channels = (0..n_channels).step_by(step);
    channels
        .flat_map(|channel| frames.clone().flat_map(move |frame| frame[channel * pixels..][..pixels].iter().copied()))
        .collect()
}

fn frames(golden: &Golden) -> Frames {
    let [n_frames, height, width, 3] = golden.shape("video")[..] else { panic!("expected RGB frames") };
    Frames::new(golden.bytes("video"), n_frames, height, width).expect("the file is sound")
}

/// The stored tokens `[1, t, h, w]`.
fn tokens(golden: &Golden) -> Tensor {
    let shape: Vec<usize> = [1].into_iter().chain(golden.shape("tokens")).collect();
    Tensor::i64(shape, golden.integers("tokens")).expect("the file is sound")
}

/// Every `step`-th row and column of every frame is at most one level from what is stored.
fn compare_pixels(comparison: &mut Comparison<'_>, golden: &Golden, frames: &Frames, step: usize) {
    let rows = frames.pixels().chunks_exact(frames.width() * 3).step_by(step);
    let pixels = rows.flat_map(|row| row.chunks_exact(3).step_by(step).flatten().copied().map(f32::from));
    let expected: Vec<f32> = golden.bytes("video_out").into_iter().map(f32::from).collect();
    comparison.within("video_out", &pixels.collect::<Vec<_>>(), &expected, 1.0);
}

/// A square of every frame of a video `[1, 3, frames, height, width]`.
fn crop(video: &Tensor, start: usize, side: usize) -> Vec<f32> {
    let [.., height, width] = *video.shape() else { panic!("expected five axes") };
    let frames = video.as_f32().expect("floats").chunks_exact(height * width);
    let rows = frames.flat_map(|frame| frame.chunks_exact(width).skip(start).take(side));
    rows.flat_map(|row| row[start..][..side].to_vec()).collect()
}
