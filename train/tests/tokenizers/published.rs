//! The published tokenizers at their size, cut where they are quantised, run by libtorch.

use crate::stored::{Reproducible, Stored};
use egom2p_model::weights::WeightsPart;
use egom2p_model::{Modality, Preset};
use egom2p_train::tokenizers::{
    FiniteScalarQuantizer, MotionTokenizer, VectorQuantizerSettings, VideoLoss, VideoTokenizer,
};
use tch::{Device, Kind, Tensor};

/// Tokens agree where their margin is this many times the tolerance of what they are chosen by.
const CLEAR: f64 = 10.0;

fn assert_clear_tokens(actual: &Tensor, expected: &Tensor, margin: &Tensor, tolerance: f64) {
    assert_eq!(actual.size(), expected.size());
    let clear = margin.gt(CLEAR * tolerance);
    let n_clear = clear.sum(Kind::Int64).int64_value(&[]);
    assert!(n_clear * 10 >= expected.numel() as i64 * 9, "nearly all margins are clear");
    let differing = actual.ne_tensor(expected).logical_and(&clear).sum(Kind::Int64).int64_value(&[]);
    assert_eq!(differing, 0);
}

fn motion(name: &str, modality: Modality, part: WeightsPart) {
    let Some(stored) = Stored::published(name) else { return };
    tch::set_num_threads(1);
    let _no_gradient = tch::no_grad_guard();
    let (source, settings) = (Reproducible { part, video_side: 32 }, VectorQuantizerSettings::default());
    let tokenizer = MotionTokenizer::load(&Preset::Base.config(), modality, settings, &source, Device::Cpu).unwrap();
    let clips = stored.tensor("x");
    stored.assert_close("latent", &tokenizer.latents(&clips).unwrap().transpose(1, 2));
    let tolerance = stored.about()["tensors"]["cos_top1"]["tolerance"].as_f64().unwrap();
    for (clips, tokens, margin) in [("x", "tokens", "margin"), ("random_x", "random_x_tokens", "random_x_margin")] {
        let actual = tokenizer.encode(&stored.tensor(clips)).unwrap();
        assert_clear_tokens(&actual, &stored.tensor(tokens), &stored.tensor(margin), tolerance);
    }
    let codes = tokenizer.quantizer().codes(&stored.tensor("tokens").to_kind(Kind::Int64)).unwrap();
    stored.assert_close("quant", &codes.transpose(1, 2));
    for (tokens, decoded) in [("tokens", "decoded"), ("random_tokens", "random_decoded")] {
        let tokens = stored.tensor(tokens).to_kind(Kind::Int64);
        stored.assert_close(decoded, &tokenizer.decode(&tokens).unwrap());
    }
}

#[test]
fn the_published_gaze_tokenizer() {
    motion("gaze_tokenizer", Modality::Gaze, WeightsPart::Gaze);
}

#[test]
fn the_published_camera_tokenizer() {
    motion("cam_tokenizer", Modality::Camera, WeightsPart::Camera);
}

#[test]
fn the_published_video_tokenizer() {
    let Some(stored) = Stored::published("video_tokenizer_clip9") else { return };
    tch::set_num_threads(1);
    let _no_gradient = tch::no_grad_guard();
    let config = Preset::Base.config();
    let source = Reproducible { part: WeightsPart::Video, video_side: 32 };
    let tokenizer = VideoTokenizer::load(&config, VideoLoss::default(), &source, Device::Cpu).unwrap();
    let bytes = stored.tensor("video").to_kind(Kind::Float).permute([3, 0, 1, 2]).unsqueeze(0);
    let latents = tokenizer.latents(&(bytes / 255.0 * 2.0 - 1.0)).unwrap();
    stored.assert_close("latent", &latents.squeeze_dim(0));
    let levels = &config.video_tokenizer.unwrap().levels;
    let quantized = FiniteScalarQuantizer::new(levels, Device::Cpu).unwrap().quantize(&latents).unwrap();
    // A token is as clear as the least clear of its digits.
    let margin = stored.tensor("margin").amin(&[0_i64][..], false);
    let tolerance = stored.about()["tensors"]["bounded"]["tolerance"].as_f64().unwrap();
    let expected = stored.tensor("tokens");
    assert_clear_tokens(&quantized.tokens.squeeze_dim(0), &expected, &margin, tolerance);
    assert_eq!(
        quantized.tokens.squeeze_dim(0),
        expected.to_kind(Kind::Int64),
        "codes of other tokens decode to another video"
    );
    let decoded = tokenizer.synthesize(&quantized.codes).unwrap();
    stored.assert_close("decoded", &decoded.reshape_as(&stored.tensor("decoded")));
}
