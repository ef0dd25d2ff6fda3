//! What the published state dicts say about names: aliases, zero buffers, bookkeeping (specification sections 1.3, 1.5, 2.1).

use std::borrow::Cow;

use super::WeightsPart;

/// The name under which a tensor is stored: EgoM2P's decoder shares each modality embedding with the encoder, and each
/// output head with its own token table, and the published state dict lists both names.
pub fn canonical_name(part: WeightsPart, name: &str) -> Cow<'_, str> {
    alias_target(part, name).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn alias_target(part: WeightsPart, name: &str) -> Option<String> {
    if part != WeightsPart::Model {
        return None;
    }
    let (modality, field) = name.strip_prefix("decoder_embeddings.")?.split_once('.')?;
    if !is_word(modality) {
        return None;
    }
    match field {
        "mod_emb" => Some(format!("encoder_embeddings.{modality}.mod_emb")),
        "to_logits.weight" => Some(format!("decoder_embeddings.{modality}.token_emb.weight")),
        _ => None,
    }
}

/// Whether this is one of EgoM2P's norm biases, which are buffers of zeros and never learned.
pub(super) fn is_zero_buffer(part: WeightsPart, name: &str) -> bool {
    const NORMS: [&str; 6] = ["norm1", "norm2", "query_norm", "context_norm", "encoder_norm", "decoder_norm"];
    let norm = name.strip_suffix(".bias").map(|stem| stem.rsplit('.').next().unwrap_or(stem));
    part == WeightsPart::Model && norm.is_some_and(|norm| NORMS.contains(&norm))
}

/// Whether this is a counter of the motion tokenizers' codebook that training needs and prediction does not.
pub(super) fn is_codebook_bookkeeping(part: WeightsPart, name: &str) -> bool {
    matches!(part, WeightsPart::Camera | WeightsPart::Gaze)
        && matches!(name, "quantize._codebook.initted" | "quantize._codebook.cluster_size")
}

/// Whether this is a constant that tracing turned into an entry of a video tokenizer archive (specification section 3.5).
pub(super) fn is_traced_constant(part: WeightsPart, name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["encoder.patcher3d.", "decoder.unpatcher3d.", "quantizer.", "inv_quant."];
    part == WeightsPart::Video && PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Which part a listing of names and shapes belongs to, told by tensors that only that part has.
pub(super) fn recognise<'a>(mut shape_of: impl FnMut(&str) -> Option<&'a [usize]>) -> Option<WeightsPart> {
    if shape_of("mask_token").is_some() {
        return Some(WeightsPart::Model);
    }
    if shape_of("quantize._codebook.embed").is_some() {
        return match shape_of("encoder.conv.weight") {
            Some([_, 2, _]) => Some(WeightsPart::Gaze),
            Some([_, 9, _]) => Some(WeightsPart::Camera),
            _ => None,
        };
    }
    let convolutions = ["quant_conv.conv3d.weight", "post_quant_conv.conv3d.weight"];
    convolutions.into_iter().any(|name| shape_of(name).is_some()).then_some(WeightsPart::Video)
}

/// Whether the text is what `\w+` matches in a regular expression.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word_char)
}

/// Whether `\w` matches the character.
pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
