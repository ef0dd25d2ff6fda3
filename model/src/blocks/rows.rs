use egom2p_graph::{Builder, Dim, Literal, Value};

use crate::{Modality, ModelConfig};

/// Rows of mixed modalities: which of them belong to which.
///
/// A row that may not be used, or whose modality has no such index, belongs to none: its embeddings are zero and nothing
/// is looked up by what it holds.
pub(crate) struct Rows<'g> {
    g: &'g Builder,
    own: [Own<'g>; 4],
    /// What rows of other modalities look up.
    first: Value<'g>,
    /// What rows of no modality get.
    zero: Value<'g>,
}

/// Which rows belong to one modality.
#[derive(Clone, Copy)]
struct Own<'g> {
    modality: Modality,
    /// `true` where a row does: bool `[batch, rows]`.
    rows: Value<'g>,
    /// The same as `[batch, rows, 1]`.
    column: Value<'g>,
}

/// Whose fixed position tables are read; both sides share the learned modality embeddings.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Encoder,
    Decoder,
}

impl<'g> Rows<'g> {
    /// Rows with the modality indices `modality` i64 `[batch, rows]`, of which those in `used` bool `[batch, rows]` count.
    pub(crate) fn new(g: &'g Builder, modality: Value<'g>, used: Option<Value<'g>>) -> Self {
        let own = Modality::ALL.map(|one| {
            let rows = modality.equal(g.integer(one.index() as i64));
            let rows = used.map_or(rows, |used| rows.and(used));
            Own { modality: one, rows, column: rows.reshape(rows.shape().into_iter().chain([Dim::fixed(1)])) }
        });
        Self { g, own, first: g.integer(0), zero: g.constant(Literal::scalar_f32(0.0)) }
    }

    /// The embeddings of `tokens` i64 `[batch, rows]`: `[batch, rows, dim]`.
    pub(crate) fn token_embedding(&self, config: &ModelConfig, tokens: Value<'g>) -> Value<'g> {
        let g = self.g;
        self.select(|own| {
            g.enter("encoder_embeddings", || {
                g.enter(own.modality.published_key(), || {
                    let table = g.param("token_emb.weight", &[config.vocabulary(own.modality), config.dim]);
                    self.look_up(table, own, tokens)
                })
            })
        })
    }

    /// Position plus modality embedding of the places `position` i64 `[batch, rows]`: `[batch, rows, dim]`.
    pub(crate) fn place_embedding(&self, config: &ModelConfig, side: Side, position: Value<'g>) -> Value<'g> {
        let g = self.g;
        let embeddings = match side {
            Side::Encoder => "encoder_embeddings",
            Side::Decoder => "decoder_embeddings",
        };
        self.select(|own| {
            let key = own.modality.published_key();
            let n_tokens = config.n_tokens(own.modality);
            let place = g.enter(embeddings, || {
                g.enter(key, || {
                    let table = g.param("pos_emb", &[1, n_tokens, config.dim]).reshape([n_tokens, config.dim]);
                    self.look_up(table, own, position)
                })
            });
            g.enter("encoder_embeddings", || g.enter(key, || place + g.param("mod_emb", &[1, 1, config.dim])))
        })
    }

    /// Rows of `table` by `ids`; rows of other modalities, whose ids may lie outside, look up the first one.
    fn look_up(&self, table: Value<'g>, own: Own<'g>, ids: Value<'g>) -> Value<'g> {
        table.embedding(self.g.choose(own.rows, ids, self.first))
    }

    /// What `of` gives for the modality of each row: `[batch, rows, dim]`.
    fn select(&self, of: impl Fn(Own<'g>) -> Value<'g>) -> Value<'g> {
        self.own.iter().fold(self.zero, |others, &own| self.g.choose(own.column, of(own), others))
    }
}
