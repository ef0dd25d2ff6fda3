"""The EgoM2P transformer as a PyTorch module, with the published parameter names.

Masks: True = may be used. `attention` is "fused" (F.scaled_dot_product_attention) or "published" (product, scale, fill,
softmax, product, each written to memory).
"""
import torch
import torch.nn.functional as F
from torch import nn

from presets import KEYS, MODALITIES, n_tokens, token_grid, vocabulary, is_video

NORM_EPSILON = 1e-6


def attend(q, k, v, heads, mask=None, attention="fused", causal=False):
    """softmax(q kᵀ / sqrt(d)) v per head; q [batch, queries, dim], k and v [batch, keys, dim].

    mask: bool, broadcasts to [batch, heads, queries, keys].
    """
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    if attention == "fused":
        result = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    else:
        scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
        if causal:
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.finfo(scores.dtype).max)
        result = scores.softmax(-1) @ v
    return result.transpose(1, 2).flatten(-2)


class LayerNorm(nn.Module):
    """A norm whose bias is a buffer of zeros."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.register_buffer("bias", torch.zeros(dim))

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, NORM_EPSILON)


class SelfAttention(nn.Module):
    def __init__(self, dim, heads, bias=False, attention="fused"):
        super().__init__()
        self.heads, self.attention = heads, attention
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim, bias=bias)

    def forward(self, x, mask=None):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(attend(q, k, v, self.heads, mask, self.attention))


class CrossAttention(nn.Module):
    def __init__(self, dim, heads, attention="fused"):
        super().__init__()
        self.heads, self.attention = heads, attention
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x, context, mask=None):
        k, v = self.kv(context).chunk(2, dim=-1)
        return self.proj(attend(self.q(x), k, v, self.heads, mask, self.attention))


class GatedMlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, dim, bias=False)
        self.fc3 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x):
        return self.fc2(F.silu(self.fc1(x)) * self.fc3(x))


class EncoderBlock(nn.Module):
    def __init__(self, dim, heads, hidden, attention):
        super().__init__()
        self.norm1 = LayerNorm(dim)
        self.attn = SelfAttention(dim, heads, attention=attention)
        self.norm2 = LayerNorm(dim)
        self.mlp = GatedMlp(dim, hidden)

    def forward(self, x, mask=None):
        x = x + self.attn(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class DecoderBlock(nn.Module):
    def __init__(self, dim, heads, hidden, attention):
        super().__init__()
        self.norm1 = LayerNorm(dim)
        self.self_attn = SelfAttention(dim, heads, attention=attention)
        self.query_norm = LayerNorm(dim)
        self.context_norm = LayerNorm(dim)
        self.cross_attn = CrossAttention(dim, heads, attention)
        self.norm2 = LayerNorm(dim)
        self.mlp = GatedMlp(dim, hidden)

    def forward(self, y, context=None, visible_mask=None, query_mask=None):
        y = y + self.self_attn(self.norm1(y), query_mask)
        if context is not None:
            y = y + self.cross_attn(self.query_norm(y), self.context_norm(context), visible_mask)
        return y + self.mlp(self.norm2(y))


class EncoderEmbedding(nn.Module):
    def __init__(self, config, modality):
        super().__init__()
        self.mod_emb = nn.Parameter(0.02 * torch.randn(1, 1, config["dim"]))
        self.register_buffer("pos_emb", position_table(config, modality))
        self.token_emb = nn.Embedding(vocabulary(config, modality), config["dim"])


class DecoderEmbedding(nn.Module):
    """Shares the modality embedding with the encoder; its token table is the head."""

    def __init__(self, config, modality, mod_emb):
        super().__init__()
        self.mod_emb = mod_emb
        self.register_buffer("pos_emb", position_table(config, modality))
        self.token_emb = nn.Embedding(vocabulary(config, modality), config["dim"])
        nn.init.normal_(self.token_emb.weight, std=0.1)
        self.to_logits = nn.Linear(config["dim"], vocabulary(config, modality), bias=False, device="meta")
        self.to_logits.weight = self.token_emb.weight


class EgoM2P(nn.Module):
    """The transformer; `forward` is not defined, the stages are `encode`, `decode` and the heads."""

    def __init__(self, config, attention="fused"):
        super().__init__()
        self.config = config
        sizes = config["dim"], config["heads"], config["mlp_hidden"], attention
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, config["dim"]))
        embeddings = {KEYS[modality]: EncoderEmbedding(config, modality) for modality in MODALITIES}
        self.encoder_embeddings = nn.ModuleDict(embeddings)
        self.decoder_embeddings = nn.ModuleDict({
            KEYS[modality]: DecoderEmbedding(config, modality, embeddings[KEYS[modality]].mod_emb)
            for modality in MODALITIES
        })
        self.encoder = nn.ModuleList(EncoderBlock(*sizes) for _ in range(config["encoder_blocks"]))
        self.encoder_norm = LayerNorm(config["dim"])
        self.decoder_proj_context = nn.Linear(config["dim"], config["dim"])
        self.decoder = nn.ModuleList(DecoderBlock(*sizes) for _ in range(config["decoder_blocks"]))
        self.decoder_norm = LayerNorm(config["dim"])

    def gather_visible(self, ids, visible, n_visible):
        """Rows of the encoder, from all positions of all modalities: visible ones first, in order, then cut.

        ids and visible: by modality, [batch, positions]. Every clip has n_visible visible positions. Returns the token
        embeddings and the place embeddings [batch, n_visible, dim].
        """
        tokens, places = [], []
        for modality, own in ids.items():
            embedding = self.encoder_embeddings[KEYS[modality]]
            tokens.append(embedding.token_emb(own))
            places.append((embedding.pos_emb + embedding.mod_emb).expand(len(own), -1, -1))
        hidden = ~torch.cat(list(visible.values()), dim=1)
        order = torch.argsort(hidden + torch.arange(hidden.shape[1], device=hidden.device) * 1e-6, dim=1)
        keep = order[:, :n_visible, None].expand(-1, -1, self.config["dim"])
        return torch.cat(tokens, dim=1).gather(1, keep), torch.cat(places, dim=1).gather(1, keep)

    def encode(self, tokens, places, mask=None):
        """Context [batch, visible, dim]; mask bool [batch, visible]."""
        x = tokens + places
        mask = None if mask is None else mask[:, None, None]
        for block in self.encoder:
            x = block(x, mask)
        return self.decoder_proj_context(self.encoder_norm(x)) + places

    def queries(self, modality, positions):
        """Rows of the decoder at positions [batch, queries] of a modality."""
        embedding = self.decoder_embeddings[KEYS[modality]]
        return self.mask_token + (embedding.pos_emb[0][positions] + embedding.mod_emb)

    def decode(self, y, context=None, visible_mask=None, query_mask=None):
        """Hidden rows [batch, queries, dim]; visible_mask [batch, visible], query_mask [batch, queries, queries]."""
        visible_mask = None if visible_mask is None else visible_mask[:, None, None]
        query_mask = None if query_mask is None else query_mask[:, None]
        for block in self.decoder:
            y = block(y, context, visible_mask, query_mask)
        return self.decoder_norm(y)


def sincos_1d(length, dim):
    """[1, length, dim]: all sines, then all cosines, of frequencies 10000^(-i / (dim/2))."""
    frequencies = 10000.0 ** -(torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()[None]


def sincos_3d(grid, dim):
    """[1, t * h * w, dim]: a third of the channels per axis, sines and cosines interleaved."""
    channels = dim // 3
    frequencies = 10000.0 ** -(torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    tables = []
    for axis, size in enumerate(grid):
        angles = torch.arange(size, dtype=torch.float64)[:, None] * frequencies
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        shape = [1, 1, 1, channels]
        shape[axis] = size
        tables.append(table.view(shape).expand(*grid, channels))
    return torch.cat(tables, dim=-1).reshape(1, -1, dim).float()


def position_table(config, modality):
    if is_video(modality):
        return sincos_3d(token_grid(config), config["dim"])
    return sincos_1d(n_tokens(config, modality), config["dim"])
