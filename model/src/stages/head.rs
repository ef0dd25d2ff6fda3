use egom2p_graph::{Builder, DType, Dim, Value};

use crate::{Modality, ModelConfig};

/// The logits of one modality: the product with the decoder's token table, which the published model ties to its head
/// (specification section 1.3).
pub(super) fn head<'g>(g: &'g Builder, config: &ModelConfig, modality: Modality) -> Value<'g> {
    let hidden = g.input("hidden", DType::F32, [Dim::from("batch"), "queries".into(), config.dim.into()]);
    g.enter("decoder_embeddings", || {
        g.enter(modality.published_key(), || hidden.linear("token_emb", config.vocabulary(modality), false))
    })
}
