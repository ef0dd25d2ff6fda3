use egom2p_graph::{Builder, Value};

use super::NORM_EPSILON;
use super::attention::{Heads, Mask, NO_MASK, cross_attention, self_attention};
use super::mlp;
use crate::{ModelConfig, MotionTokenizerConfig};

/// What the queries of a decoder block attend to besides each other.
#[derive(Clone, Copy)]
pub(crate) struct Context<'g> {
    /// The encoder's rows `[batch, visible, dim]`.
    pub(crate) rows: Value<'g>,
    /// Which of them may be used.
    pub(crate) mask: Mask<'g>,
}

/// One block of the model's encoder on `x` `[batch, visible, dim]` (specification section 1.5).
pub(crate) fn encoder_block<'g>(g: &'g Builder, x: Value<'g>, config: &ModelConfig, mask: Mask<'g>) -> Value<'g> {
    let h = x.layer_norm("norm1", NORM_EPSILON, false);
    let x = x + g.enter("attn", || self_attention(g, h, model_heads(config), mask));
    gated_residual(g, x, config)
}

/// One block of the model's decoder on `y` `[batch, queries, dim]` (specification section 1.5). Without a context its
/// term, which would be exactly zero, is left out.
pub(crate) fn decoder_block<'g>(
    g: &'g Builder,
    y: Value<'g>,
    config: &ModelConfig,
    mask: Mask<'g>,
    context: Option<Context<'g>>,
) -> Value<'g> {
    let h = y.layer_norm("norm1", NORM_EPSILON, false);
    let mut y = y + g.enter("self_attn", || self_attention(g, h, model_heads(config), mask));
    if let Some(Context { rows, mask }) = context {
        let h = y.layer_norm("query_norm", NORM_EPSILON, false);
        let rows = rows.layer_norm("context_norm", NORM_EPSILON, false);
        y = y + g.enter("cross_attn", || cross_attention(g, h, rows, model_heads(config), mask));
    }
    gated_residual(g, y, config)
}

/// One block of a motion tokenizer on `x` `[batch, tokens, dim]` (specification section 2.1).
pub(crate) fn motion_block<'g>(g: &'g Builder, x: Value<'g>, config: &MotionTokenizerConfig) -> Value<'g> {
    let MotionTokenizerConfig { dim, heads, mlp_hidden, .. } = *config;
    let h = x.layer_norm("norm1", NORM_EPSILON, true);
    let x = x + g.enter("attn", || self_attention(g, h, Heads { dim, count: heads, bias: true }, NO_MASK));
    let h = x.layer_norm("norm2", NORM_EPSILON, true);
    x + g.enter("mlp", || mlp::plain(h, dim, mlp_hidden, Value::gelu))
}

fn gated_residual<'g>(g: &'g Builder, x: Value<'g>, config: &ModelConfig) -> Value<'g> {
    let h = x.layer_norm("norm2", NORM_EPSILON, false);
    x + g.enter("mlp", || mlp::gated(h, config.dim, config.mlp_hidden))
}

fn model_heads(config: &ModelConfig) -> Heads {
    Heads { dim: config.dim, count: config.heads, bias: false }
}
