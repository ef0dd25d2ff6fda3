use super::Operands;
use egom2p_graph::AttentionMask;
use tch::{Kind, TchError, Tensor};

/// Attention per head. A query without a permitted key gets exactly zero from libtorch, and so does its gradient.
pub(super) fn attention(
    operands: &Operands<'_>,
    heads: usize,
    scale: f32,
    causal: bool,
    mask: AttentionMask,
) -> Result<Tensor, TchError> {
    let [q, k, v] = [0, 1, 2].map(|index| operands.inputs[index]);
    let (batch, n_queries, _) = q.size3()?;
    let (_, n_keys, _) = k.size3()?;
    let permitted = match mask {
        AttentionMask::None => None,
        AttentionMask::Keys => Some(operands.inputs[3].f_reshape([batch, 1, 1, n_keys])?),
        AttentionMask::Pairs => Some(operands.inputs[3].f_unsqueeze(1)?),
    };
    let permitted = match (permitted, causal) {
        (Some(permitted), true) => {
            let earlier = Tensor::f_ones([n_queries, n_keys], (Kind::Bool, q.device()))?.f_tril(0)?;
            Some(permitted.f_logical_and(&earlier)?)
        }
        (permitted, _) => permitted,
    };
    let is_causal = causal && permitted.is_none();
    let (q, k, v) = (split(q, heads)?, split(k, heads)?, split(v, heads)?);
    let scale = f64::from(scale);
    let mixed = Tensor::f_scaled_dot_product_attention(&q, &k, &v, permitted.as_ref(), 0.0, is_causal, scale, false)?;
    mixed.f_transpose(1, 2)?.f_reshape(operands.shape)
}

/// `[batch, rows, heads * d]` as `[batch, heads, rows, d]`.
fn split(x: &Tensor, heads: usize) -> Result<Tensor, TchError> {
    let (batch, rows, features) = x.size3()?;
    let heads = heads as i64;
    x.f_reshape([batch, rows, heads, features / heads])?.f_transpose(1, 2)
}
