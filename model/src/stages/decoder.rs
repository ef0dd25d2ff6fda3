use egom2p_graph::{AttentionMask, Builder, DType, Dim, Value};

use crate::blocks::NORM_EPSILON;
use crate::blocks::attention::{Mask, NO_MASK};
use crate::blocks::rows::{Rows, Side};
use crate::blocks::transformer::{Context, decoder_block};
use crate::{ModelConfig, Variant};

/// The model's decoder without its heads (specification sections 1.5 and 1.7).
pub(super) fn decoder<'g>(g: &'g Builder, config: &ModelConfig, variant: Variant) -> Value<'g> {
    let context = (variant != Variant::Contextless).then(|| {
        let rows = g.input("context", DType::F32, [Dim::from("batch"), "visible".into(), config.dim.into()]);
        let mask = if variant == Variant::Masked {
            (AttentionMask::Keys, Some(g.input("visible_mask", DType::Bool, ["batch", "visible"])))
        } else {
            NO_MASK
        };
        Context { rows, mask }
    });
    let [modality, position] = ["modality", "position"].map(|name| g.input(name, DType::I64, ["batch", "queries"]));
    let used = (variant == Variant::Masked).then(|| g.input("query_mask", DType::Bool, ["batch", "queries"]));
    let mask = used.map_or(NO_MASK, |used| same_modality(modality, used));
    let place = Rows::new(g, modality, used).place_embedding(config, Side::Decoder, position);
    let mut y = g.param("mask_token", &[1, 1, config.dim]) + place;
    for block in 0..config.decoder_blocks {
        y = g.enter("decoder", || g.enter(block, || decoder_block(g, y, config, mask, context)));
    }
    y.layer_norm("decoder_norm", NORM_EPSILON, false)
}

/// Queries see those of their own modality that may be used: bool `[batch, queries, queries]`.
fn same_modality<'g>(modality: Value<'g>, used: Value<'g>) -> Mask<'g> {
    let (batch, queries) = (Dim::from("batch"), Dim::from("queries"));
    let column = modality.reshape([batch.clone(), queries.clone(), 1.into()]);
    let row = |value: Value<'g>| value.reshape([batch.clone(), 1.into(), queries.clone()]);
    (AttentionMask::Pairs, Some(column.equal(row(modality)).and(row(used))))
}
