use super::WeightsPart;
use crate::weights::published::{is_word, is_word_char};

/// How the values of a tensor are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rule {
    /// `offset + scale * u`.
    Uniform {
        offset: f64,
        scale: f64,
    },
    /// `gain * sqrt(3 / fan_in) * u`: unit-variance inputs leave with standard deviation `gain`.
    Matrix {
        gain: f64,
    },
    /// The one-dimensional position embedding.
    Sincos1d,
    /// The three-dimensional position embedding.
    Sincos3d,
    /// Rows of length 0.8 to 1.
    Codebook,
    /// `scale * u` minus the column means of the position embedding that the tensor is added to.
    MinusMeanPosition {
        scale: f64,
    },
    Zeros,
    Ones,
}

impl Rule {
    /// The rule of a tensor, by its canonical name. The order of the tests is part of the rule.
    pub(super) fn of(part: WeightsPart, name: &str) -> Option<Self> {
        match part {
            WeightsPart::Model => model_rule(name),
            WeightsPart::Camera | WeightsPart::Gaze => motion_tokenizer_rule(name),
            WeightsPart::Video => video_tokenizer_rule(name),
        }
    }
}

fn model_rule(name: &str) -> Option<Rule> {
    if let Some((side, modality, field)) = embedding(name) {
        match (side, field) {
            (_, "pos_emb") if matches!(modality, "tok_cam" | "tok_gaze") => return Some(Rule::Sincos1d),
            (_, "pos_emb") if matches!(modality, "tok_rgb" | "tok_depth") => return Some(Rule::Sincos3d),
            ("encoder", "token_emb.weight") => return Some(Rule::Uniform { offset: 0.0, scale: 1.0 }),
            ("decoder", "token_emb.weight") => return Some(Rule::Matrix { gain: 3.0 }),
            ("encoder", "mod_emb") => return Some(Rule::MinusMeanPosition { scale: 0.2 }),
            _ => {}
        }
    }
    let field = last_field(name);
    match name {
        "mask_token" => Some(Rule::Uniform { offset: 0.0, scale: 0.2 }),
        _ if is_norm(name, ".weight") => Some(NORM_WEIGHT),
        _ if is_norm(name, ".bias") => Some(Rule::Zeros),
        _ if field == Some("bias") => Some(BIAS),
        _ if [".qkv.weight", ".q.weight", ".kv.weight"].iter().any(|end| name.ends_with(end)) => {
            Some(Rule::Matrix { gain: 2.0 })
        }
        _ if field == Some("weight") => Some(Rule::Matrix { gain: 1.3 }),
        _ => None,
    }
}

fn motion_tokenizer_rule(name: &str) -> Option<Rule> {
    let field = last_field(name);
    match name {
        "encoder.position_embeddings" | "decoder.position_embeddings" => Some(Rule::Sincos1d),
        "quantize._codebook.initted" => Some(Rule::Ones),
        "quantize._codebook.cluster_size" => Some(Rule::Uniform { offset: 30.0, scale: 30.0 }),
        "quantize._codebook.embed" => Some(Rule::Codebook),
        _ if is_norm(name, ".weight") => Some(NORM_WEIGHT),
        "encoder.conv.bias" | "post_quant_proj.bias" => Some(Rule::MinusMeanPosition { scale: 0.05 }),
        _ if field == Some("bias") => Some(BIAS),
        "encoder.conv.weight" => Some(Rule::Matrix { gain: 5.0 }),
        "quant_proj.weight" => Some(Rule::Matrix { gain: 0.25 }),
        "post_quant_proj.weight" => Some(Rule::Matrix { gain: 4.0 }),
        "decoder.out_proj.weight" => Some(Rule::Matrix { gain: 0.15 }),
        _ if name.ends_with(".qkv.weight") => Some(Rule::Matrix { gain: 2.0 }),
        _ if field == Some("weight") => Some(Rule::Matrix { gain: 0.8 }),
        _ => None,
    }
}

fn video_tokenizer_rule(name: &str) -> Option<Rule> {
    let field = last_field(name);
    match name {
        _ if name.ends_with(".norm.weight") => Some(NORM_WEIGHT),
        _ if field == Some("bias") => Some(BIAS),
        "quant_conv.conv3d.weight" => Some(Rule::Matrix { gain: 1.0 }),
        "decoder.conv_out.1.conv3d.weight" => Some(Rule::Matrix { gain: 0.07 }),
        _ if field == Some("weight") => Some(Rule::Matrix { gain: 1.3 }),
        _ => None,
    }
}

const NORM_WEIGHT: Rule = Rule::Uniform { offset: 1.0, scale: 0.2 };
const BIAS: Rule = Rule::Uniform { offset: 0.0, scale: 0.05 };

/// Splits `encoder_embeddings.tok_cam.token_emb.weight` into side, modality and field.
fn embedding(name: &str) -> Option<(&str, &str, &str)> {
    let (side, rest) = name.split_once("_embeddings.")?;
    let (modality, field) = rest.split_once('.')?;
    (matches!(side, "encoder" | "decoder") && is_word(modality)).then_some((side, modality, field))
}

/// What stands after the last dot.
fn last_field(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, field)| field)
}

/// Whether the name matches `.*norm\w*` followed by `suffix`: the last word before it contains "norm".
fn is_norm(name: &str, suffix: &str) -> bool {
    let Some(stem) = name.strip_suffix(suffix) else { return false };
    stem.rsplit(|c| !is_word_char(c)).next().is_some_and(|word| word.contains("norm"))
}
