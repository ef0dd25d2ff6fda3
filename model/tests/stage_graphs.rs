//! What every stage looks like: inputs, outputs, rules, and the listing of a very small model as a snapshot.

use egom2p_graph::{Bindings, DimError, Fact, Graph};
use egom2p_model::{
    Modality, ModelConfig, MotionTokenizerConfig, MotionTokens, Preset, Stage, StageError, Variant,
    VideoTokenizerConfig, VideoTokens, stage_graph,
};

/// One block a stack, everything else as small as it can be told apart.
fn smallest() -> ModelConfig {
    let motion = MotionTokenizerConfig { dim: 8, heads: 2, blocks: 1, mlp_hidden: 16, code_dim: 3 };
    ModelConfig {
        dim: 12,
        heads: 2,
        encoder_blocks: 1,
        decoder_blocks: 1,
        mlp_hidden: 20,
        video: VideoTokens { frames: 8, height: 16, width: 24, vocabulary: 40 },
        motion: MotionTokens { samples: 10, vocabulary: 7 },
        video_tokenizer: Some(VideoTokenizerConfig {
            channels: 2,
            channel_multipliers: [1, 2, 3],
            residual_blocks: 1,
            z_channels: 4,
            levels: vec![8, 5],
        }),
        camera_tokenizer: Some(motion),
        gaze_tokenizer: Some(motion),
    }
}

fn variants() -> impl Iterator<Item = (Stage, Variant)> {
    Stage::ALL.into_iter().flat_map(|stage| stage.variants().iter().map(move |&variant| (stage, variant)))
}

fn output<'a>(graph: &'a Graph, name: &str) -> &'a Fact {
    let (_, id) = graph.outputs().iter().find(|(other, _)| *other == name).expect("the output is there");
    &graph.node(*id).fact
}

#[test]
fn listings() {
    let config = smallest();
    for (stage, variant) in variants() {
        let graph = stage_graph(&config, stage, variant).expect("a sound stage");
        insta::assert_snapshot!(graph.name().to_owned(), graph.to_string());
    }
}

#[test]
fn inputs_and_outputs_of_the_published_model() {
    let config = Preset::Base.config();
    let mut lines = Vec::new();
    for (stage, variant) in variants() {
        let graph = stage_graph(&config, stage, variant).expect("a sound stage");
        let inputs: Vec<_> = graph.inputs().map(|(name, fact)| format!("{name} {fact}")).collect();
        let outputs: Vec<_> =
            graph.outputs().iter().map(|(name, id)| format!("{name} {}", graph.node(*id).fact)).collect();
        lines.push(format!("{}: {} -> {}", graph.name(), inputs.join(", "), outputs.join(", ")));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_clip_of_the_preset_becomes_as_many_tokens_as_its_position_table_has() {
    for preset in Preset::ALL {
        let config = preset.config();
        let video = config.video;
        let graph = stage_graph(&config, Stage::VideoEncoder, Variant::Default).expect("a sound stage");
        let sizes = [("batch", 1), ("frames", video.padded_frames()), ("height", video.height), ("width", video.width)];
        let bindings = Bindings::from(sizes);
        let shape = output(&graph, "tokens").shape.iter().map(|dim| dim.evaluate(&bindings));
        let shape: Vec<usize> = shape.collect::<Result<_, DimError>>().expect("the preset's clips are legal");
        assert_eq!(shape[1..], video.grid(), "{preset}");
        assert!(graph.rules().iter().all(|rule| rule.check(bindings[rule.name]).is_ok()), "{preset}");

        let graph = stage_graph(&config, Stage::VideoDecoder, Variant::Default).expect("a sound stage");
        let [t, h, w] = video.grid();
        let bindings = Bindings::from([("batch", 1), ("t", t), ("h", h), ("w", w)]);
        let shape = output(&graph, "video").shape.iter().map(|dim| dim.evaluate(&bindings));
        let shape: Vec<usize> = shape.collect::<Result<_, DimError>>().expect("the preset's tokens are legal");
        assert_eq!(shape, [1, 3, video.padded_frames(), video.height, video.width], "{preset}");
    }
}

#[test]
fn clips_that_do_not_fit_break_a_rule() {
    let graph = stage_graph(&smallest(), Stage::VideoEncoder, Variant::Default).expect("a sound stage");
    let breaks =
        |name: &str, size: usize| graph.rules().iter().any(|rule| rule.name == name && rule.check(size).is_err());
    for (name, illegal, legal) in [("frames", [0, 2, 16], [1, 5, 17]), ("height", [0, 4, 12], [8, 24, 264])] {
        assert!(illegal.into_iter().all(|size| breaks(name, size)), "{name}");
        assert!(!legal.into_iter().any(|size| breaks(name, size)), "{name}");
    }
    let graph = stage_graph(&smallest(), Stage::VideoDecoder, Variant::Default).expect("a sound stage");
    assert!(graph.rules().iter().any(|rule| rule.name == "t" && rule.check(0).is_err()));
}

#[test]
fn variants_differ_only_by_what_they_leave_out() {
    let config = smallest();
    for stage in [Stage::Encoder, Stage::Decoder] {
        let masked = stage_graph(&config, stage, Variant::Masked).expect("a sound stage");
        for &variant in stage.variants() {
            let graph = stage_graph(&config, stage, variant).expect("a sound stage");
            let (all, own): (Vec<_>, Vec<_>) = (masked.params().collect(), graph.params().collect());
            assert!(own.iter().all(|param| all.contains(param)), "{stage} {variant}");
            let cross = own.iter().any(|(name, _)| name.contains("cross_attn") || name.contains("context_norm"));
            assert_eq!(cross, stage == Stage::Decoder && variant != Variant::Contextless, "{stage} {variant}");
        }
    }
}

#[test]
fn every_valid_config_has_all_stages() {
    let mut n_valid = 0;
    for dim in [6, 12, 30, 48] {
        for heads in [1, 2, 3, 4] {
            for (frames, side) in [(8, 8), (16, 24), (24, 16)] {
                for (levels, channels) in [(vec![2], 1), (vec![3, 2], 5), (vec![8, 5, 5], 2)] {
                    let vocabulary = levels.iter().product();
                    let tokenizer = VideoTokenizerConfig {
                        channels,
                        channel_multipliers: [heads, 3, dim / 6],
                        residual_blocks: heads,
                        z_channels: channels,
                        levels,
                    };
                    let motion =
                        MotionTokenizerConfig { dim, heads, blocks: heads, mlp_hidden: side, code_dim: channels };
                    let config = ModelConfig {
                        dim,
                        heads,
                        video: VideoTokens { frames, height: side, width: 2 * side, vocabulary },
                        motion: MotionTokens { samples: frames, vocabulary: side },
                        video_tokenizer: Some(tokenizer),
                        camera_tokenizer: Some(motion),
                        gaze_tokenizer: Some(motion),
                        ..smallest()
                    };
                    if config.validate().is_ok() {
                        n_valid += 1;
                        for (stage, variant) in variants() {
                            stage_graph(&config, stage, variant).unwrap_or_else(|error| panic!("{config:?}: {error}"));
                        }
                    }
                }
            }
        }
    }
    assert_eq!(n_valid, 14 * 9, "only 6 and 30 in four heads do not fit");
}

#[test]
fn stages_that_cannot_be_built_say_why() {
    let mut config = smallest();
    config.gaze_tokenizer = None;
    let error = stage_graph(&config, Stage::GazeDecoder, Variant::Default).expect_err("no sizes");
    assert_eq!(
        error.to_string(),
        "stage gaze_decoder has no sizes in this config\nuse weights whose config.json has a gaze_tokenizer"
    );
    let error = stage_graph(&config, Stage::Encoder, Variant::Contextless).expect_err("no such variant");
    assert_eq!(error.to_string(), "stage encoder has no variant called contextless\nuse masked or unmasked");
    config.heads = 5;
    let error = stage_graph(&config, Stage::HeadRgb, Variant::Default).expect_err("12 is not a multiple of 5");
    assert!(matches!(error, StageError::Config(_)), "{error}");
}

#[test]
fn names_lead_back_to_stages_and_modalities() {
    for stage in Stage::ALL {
        assert_eq!(Stage::from_name(stage.name()), Ok(stage));
    }
    let error = Stage::from_name("decoder\n").expect_err("no such stage").to_string();
    assert_eq!(error.lines().count(), 2, "{error}");
    for (index, modality) in Modality::ALL.into_iter().enumerate() {
        assert_eq!((modality.index(), Modality::from_name(modality.name())), (index, Some(modality)));
        assert_eq!(Stage::head(modality).name(), format!("head_{modality}"));
    }
}
