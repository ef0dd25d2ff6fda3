use egom2p_graph::{AttentionMask, Builder, Value};

/// Which keys an attention may use, and the mask that says so; `true` permits.
pub(crate) type Mask<'g> = (AttentionMask, Option<Value<'g>>);

/// Every key may be used.
pub(crate) const NO_MASK: Mask<'static> = (AttentionMask::None, None);

/// The size of an attention.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    /// The width of the input and of the output; a multiple of `count`.
    pub(crate) dim: usize,
    /// The number of heads.
    pub(crate) count: usize,
    /// Whether the projections have biases.
    pub(crate) bias: bool,
}

impl Heads {
    /// The factor on the products: `head_width^-0.5`.
    fn scale(self) -> f32 {
        ((self.dim / self.count) as f64).powf(-0.5) as f32
    }
}

/// Self-attention of `x` `[batch, rows, dim]` with the parameters `qkv` and `proj`.
pub(crate) fn self_attention<'g>(g: &'g Builder, x: Value<'g>, heads: Heads, mask: Mask<'g>) -> Value<'g> {
    let Heads { dim, count, bias } = heads;
    let qkv = x.linear("qkv", 3 * dim, bias);
    let parts = [0, 1, 2].map(|part| qkv.slice(2, part * dim, dim));
    g.attention(parts, count, heads.scale(), mask).linear("proj", dim, bias)
}

/// Attention of `x` `[batch, queries, dim]` to `context` `[batch, visible, dim]` with the parameters `q`, `kv` and `proj`.
pub(crate) fn cross_attention<'g>(
    g: &'g Builder,
    x: Value<'g>,
    context: Value<'g>,
    heads: Heads,
    mask: Mask<'g>,
) -> Value<'g> {
    let Heads { dim, count, bias } = heads;
    let q = x.linear("q", dim, bias);
    let kv = context.linear("kv", 2 * dim, bias);
    let [k, v] = [0, 1].map(|part| kv.slice(2, part * dim, dim));
    g.attention([q, k, v], count, heads.scale(), mask).linear("proj", dim, bias)
}
