//! Sizes that make a model, and sizes that do not.

use egom2p_model::{ConfigError, ModelConfig, Preset, read_golden_json};
use serde_json::{Value, json};

fn base() -> Value {
    serde_json::from_str(&Preset::Base.config().to_json()).expect("a config is JSON")
}

fn refusal(config: &Value) -> String {
    let error = ModelConfig::from_json(&config.to_string()).expect_err("not a config").to_string();
    assert_eq!(error.lines().count(), 2, "{error}");
    error.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_published_preset_as_it_is_stored() {
    insta::assert_snapshot!(Preset::Base.config().to_json());
}

#[test]
fn presets_are_valid_and_survive_storage() {
    for preset in Preset::ALL {
        let config = preset.config();
        assert_eq!(ModelConfig::from_json(&config.to_json()).as_ref(), Ok(&config));
        assert_eq!(Preset::of(&config), Some(preset));
        assert_eq!(Preset::from_name(preset.name()), Ok(preset));
    }
    let error = Preset::from_name("egom2p-huge").expect_err("no such preset");
    assert_eq!(error.to_string(), "no preset is called \"egom2p-huge\"\nuse egom2p-base or egom2p-tiny");
}

#[test]
fn sizes_of_the_presets() {
    let [base, tiny] = Preset::ALL.map(Preset::config);
    assert_eq!((base.video.grid(), base.video.n_tokens(), base.motion.n_tokens()), ([5, 32, 32], 5120, 30));
    assert_eq!((tiny.video.grid(), tiny.video.n_tokens(), tiny.motion.n_tokens()), ([5, 8, 8], 320, 30));
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let cases = [
        (["dim", ""], json!(100), "the config has dim = 100, expected a multiple of 6"),
        (["heads", ""], json!(7), "the config has dim = 768, expected a multiple of 7"),
        (["heads", ""], json!(0), "the config has heads = 0, expected 1 to 128"),
        (["encoder_blocks", ""], json!(1_000_000), "the config has encoder_blocks = 1000000, expected 1 to 128"),
        (["dim", ""], json!(u64::MAX), "the config has dim = 18446744073709551615, expected 1 to 8192"),
        (["video", "frames"], json!(17), "the config has video.frames = 17, expected a multiple of 8"),
        (["video", "height"], json!(100), "the config has video.height = 100, expected a multiple of 8"),
        (["video", "width"], json!(0), "the config has video.width = 0, expected 1 to 2048"),
        (
            ["video", "vocabulary"],
            json!(64_001),
            "the config has the product of video_tokenizer.levels = 64000, expected 64001",
        ),
        (["motion", "samples"], json!(61), "the config has motion.samples = 61, expected a multiple of 2"),
        (
            ["video_tokenizer", "levels"],
            json!([64_000, 1]),
            "the config has video_tokenizer.levels = 1, expected at least 2 values a channel",
        ),
        (
            ["video_tokenizer", "channels"],
            json!(1_u64 << 40),
            "the config has video_tokenizer.channels = 1099511627776, expected 1 to 8192",
        ),
        (
            ["gaze_tokenizer", "code_dim"],
            json!(0),
            "the config has code_dim of a motion tokenizer = 0, expected 1 to 1024",
        ),
    ];
    for ([field, inner], value, expected) in cases {
        let mut config = base();
        let place = if inner.is_empty() { &mut config[field] } else { &mut config[field][inner] };
        *place = value;
        assert_eq!(refusal(&config), expected);
    }
}

#[test]
fn every_field_is_needed_and_no_other_is_taken() {
    let fields: Vec<String> = base().as_object().expect("an object").keys().cloned().collect();
    for field in fields {
        let mut config = base();
        config.as_object_mut().expect("an object").remove(&field);
        assert!(refusal(&config).contains(&format!("missing field `{field}`")));
    }
    let mut config = base();
    config["blocks\n"] = json!(1);
    assert!(refusal(&config).contains("unknown field `blocks `"));
}

#[test]
fn a_model_without_tokenizers_has_any_vocabulary() {
    let mut config = base();
    config["video_tokenizer"] = Value::Null;
    config["video"]["vocabulary"] = json!(512);
    let config = ModelConfig::from_json(&config.to_string()).expect("a model only");
    assert_eq!(config.video.vocabulary, 512);
}

#[test]
fn configs_of_reference_values() {
    let small = json!({ "config": {
        "dim": 96, "heads": 4, "enc_depth": 2, "dec_depth": 2, "video_vocab": 512, "motion_vocab": 256, "image_size": 64,
        "video_side": 8, "video_tokens": 320, "motion_tokens": 30, "swiglu_hidden": 256, "head_dim": 24,
    } });
    let config = ModelConfig::from_golden_json(&small).expect("a config of the recipe");
    assert_eq!((config.dim, config.mlp_hidden, config.video.grid()), (96, 256, [5, 8, 8]));
    assert_eq!(config.video_tokenizer, None);

    let mut wrong = small.clone();
    wrong["config"]["video_tokens"] = json!(321);
    let error = ModelConfig::from_golden_json(&wrong).expect_err("320 follow from the side");
    assert!(matches!(error, ConfigError::Value { field: "video_tokens", value: 321, .. }), "{error}");

    let published = ModelConfig::from_golden_json(&json!({ "weight_seed": 0, "model_prefix": "gaze" }));
    assert_eq!(published, Ok(Preset::Base.config()));
    assert!(ModelConfig::from_golden_json(&json!([])).is_err());
    assert!(ModelConfig::from_golden_json(&json!({ "config": { "dim": "wide" } })).is_err());
}

#[test]
fn descriptions_of_reference_values_may_hold_what_json_does_not() {
    let text = r#"{"std": NaN, "range": [-Infinity, Infinity], "meaning": "NaN \" = \\missing, NaN", "n": 1}"#;
    let golden = read_golden_json(text).expect("Python writes this");
    let expected = json!({"std": null, "range": [null, null], "meaning": "NaN \" = \\missing, NaN", "n": 1});
    assert_eq!(golden, expected);
    assert!(read_golden_json("{\"std\": NaNs}").is_err());
}
