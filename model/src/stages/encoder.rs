use egom2p_graph::{AttentionMask, Builder, DType, Value};

use crate::blocks::NORM_EPSILON;
use crate::blocks::attention::NO_MASK;
use crate::blocks::rows::{Rows, Side};
use crate::blocks::transformer::encoder_block;
use crate::{ModelConfig, Variant};

/// The model's encoder and the projection of its result for the decoder (specification sections 1.4 to 1.6).
pub(super) fn encoder<'g>(g: &'g Builder, config: &ModelConfig, variant: Variant) -> Value<'g> {
    let [tokens, modality, position] =
        ["tokens", "modality", "position"].map(|name| g.input(name, DType::I64, ["batch", "visible"]));
    let visible = (variant == Variant::Masked).then(|| g.input("visible_mask", DType::Bool, ["batch", "visible"]));
    let rows = Rows::new(g, modality, visible);
    let place = rows.place_embedding(config, Side::Encoder, position);
    let mask = visible.map_or(NO_MASK, |visible| (AttentionMask::Keys, Some(visible)));
    let mut x = rows.token_embedding(config, tokens) + place;
    for block in 0..config.encoder_blocks {
        x = g.enter("encoder", || g.enter(block, || encoder_block(g, x, config, mask)));
    }
    let x = x.layer_norm("encoder_norm", NORM_EPSILON, false);
    x.linear("decoder_proj_context", config.dim, true) + place
}
