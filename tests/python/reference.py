"""EgoM2P in plain PyTorch, written from the specification of the published system, to make and check reference values.

Every stage is a function of a `Weights` object and tensors. Masks: True = may be used. `config` is a dict with the
fields of a weights folder's config.json. Functions that are handed a dict as `taps` put intermediate values in it.
"""
import math

import torch
import torch.nn.functional as F

import reproducible

MODALITIES = ("camera", "depth", "gaze", "rgb")
KEYS = {"camera": "tok_cam", "depth": "tok_depth", "gaze": "tok_gaze", "rgb": "tok_rgb"}
PREFIXES = {"model": "egom2p", "camera": "cam", "gaze": "gaze", "video": "video"}
NORM_EPSILON = 1e-6
PATCH = 4


class Weights:
    """Tensors by published name, made by the reproducible-weights rule where they are first used."""

    def __init__(self, part, seed, video_side, dtype=torch.float32):
        self.prefix, self.seed, self.video_side, self.dtype = PREFIXES[part], seed, video_side, dtype
        self.made = {}

    def __call__(self, name, *shape):
        key = name, shape
        if key not in self.made:
            values = reproducible.tensor(self.seed, f"{self.prefix}/{name}", shape, self.video_side)
            self.made[key] = torch.from_numpy(values).to(self.dtype)
        return self.made[key]


def is_video(modality):
    return modality in ("depth", "rgb")


def token_grid(config):
    """(t, h, w) of a clip's video tokens."""
    video = config["video"]
    return video["frames"] // 4 + 1, video["height"] // 8, video["width"] // 8


def n_tokens(config, modality):
    return math.prod(token_grid(config)) if is_video(modality) else config["motion"]["samples"] // 2


def vocabulary(config, modality):
    return config["video" if is_video(modality) else "motion"]["vocabulary"]


# ---- Parts of transformers


def layer_norm(w, name, x, bias=False):
    dim = x.shape[-1]
    return F.layer_norm(x, (dim,), w(f"{name}.weight", dim), w(f"{name}.bias", dim) if bias else None, NORM_EPSILON)


def linear(w, name, x, out, bias=False):
    return F.linear(x, w(f"{name}.weight", out, x.shape[-1]), w(f"{name}.bias", out) if bias else None)


def attention(q, k, v, heads, permitted=None):
    """softmax(q kᵀ / sqrt(d)) v per head, over the permitted keys; zero for a query that has none.

    q [batch, queries, dim], k and v [batch, keys, dim], permitted bool, broadcasts to [batch, queries, keys].
    """
    split = lambda x: x.unflatten(-1, (heads, x.shape[-1] // heads)).transpose(1, 2)
    q, k, v = split(q), split(k), split(v)
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if permitted is None:
        weights = scores.softmax(-1)
    else:
        permitted = permitted[:, None].expand_as(scores)
        weights = scores.masked_fill(~permitted, -torch.inf).softmax(-1)
        weights = torch.where(permitted.any(-1, keepdim=True), weights, 0)
    return (weights @ v).transpose(1, 2).flatten(-2)


def self_attention(w, name, x, heads, permitted=None, bias=False):
    dim = x.shape[-1]
    q, k, v = linear(w, f"{name}.qkv", x, 3 * dim, bias).split(dim, dim=-1)
    return linear(w, f"{name}.proj", attention(q, k, v, heads, permitted), dim, bias)


def cross_attention(w, name, x, context, heads, permitted):
    dim = x.shape[-1]
    q = linear(w, f"{name}.q", x, dim)
    k, v = linear(w, f"{name}.kv", context, 2 * dim).split(dim, dim=-1)
    return linear(w, f"{name}.proj", attention(q, k, v, heads, permitted), dim)


def swiglu(w, name, x, hidden):
    gate = F.silu(linear(w, f"{name}.fc1", x, hidden))
    return linear(w, f"{name}.fc2", gate * linear(w, f"{name}.fc3", x, hidden), x.shape[-1])


def mlp(w, name, x, hidden, activation):
    return linear(w, f"{name}.fc2", activation(linear(w, f"{name}.fc1", x, hidden, True)), x.shape[-1], True)


# ---- EgoM2P, specification section 1


def place_embedding(w, config, side, modality, position, used):
    """Position plus modality embedding [batch, rows, dim]; zero in rows that are not used."""
    dim = config["dim"]
    result = torch.zeros(*modality.shape, dim, dtype=w.dtype)
    for index, name in enumerate(MODALITIES):
        own = used & (modality == index)
        table = w(f"{side}_embeddings.{KEYS[name]}.pos_emb", 1, n_tokens(config, name), dim)[0]
        result[own] = table[position[own]] + w(f"encoder_embeddings.{KEYS[name]}.mod_emb", 1, 1, dim)[0]
    return result


def encoder(w, config, tokens, modality, position, visible_mask, taps=None):
    """Context [batch, visible, dim]: the projected encoder output plus the place embedding; sections 1.4 to 1.6."""
    taps = {} if taps is None else taps
    dim = config["dim"]
    place = place_embedding(w, config, "encoder", modality, position, visible_mask)
    x = place.clone()
    for index, name in enumerate(MODALITIES):
        own = visible_mask & (modality == index)
        table = w(f"encoder_embeddings.{KEYS[name]}.token_emb.weight", vocabulary(config, name), dim)
        x[own] += table[tokens[own]]
    taps["enc_emb"], taps["enc_input"] = place, x
    permitted = visible_mask[:, None, :]
    for block in range(config["encoder_blocks"]):
        name = f"encoder.{block}"
        x = x + self_attention(w, f"{name}.attn", layer_norm(w, f"{name}.norm1", x), config["heads"], permitted)
        x = x + swiglu(w, f"{name}.mlp", layer_norm(w, f"{name}.norm2", x), config["mlp_hidden"])
        taps[f"enc_block{block}"] = x
    x = taps["encoder_out"] = layer_norm(w, "encoder_norm", x)
    return linear(w, "decoder_proj_context", x, dim, bias=True) + place


def decoder(w, config, context, visible_mask, modality, position, query_mask, taps=None):
    """Hidden rows [batch, queries, dim]; a query sees the used queries of its modality and the visible context."""
    taps = {} if taps is None else taps
    y = w("mask_token", 1, 1, config["dim"]) * query_mask[..., None]
    y = y + place_embedding(w, config, "decoder", modality, position, query_mask)
    taps["dec_input"] = y
    own = (modality[:, :, None] == modality[:, None, :]) & query_mask[:, None, :]
    for block in range(config["decoder_blocks"]):
        name = f"decoder.{block}"
        y = y + self_attention(w, f"{name}.self_attn", layer_norm(w, f"{name}.norm1", y), config["heads"], own)
        rows = layer_norm(w, f"{name}.context_norm", context)
        y = y + cross_attention(w, f"{name}.cross_attn", layer_norm(w, f"{name}.query_norm", y), rows, config["heads"],
                                visible_mask[:, None, :])
        y = y + swiglu(w, f"{name}.mlp", layer_norm(w, f"{name}.norm2", y), config["mlp_hidden"])
        taps[f"dec_block{block}"] = y
    return layer_norm(w, "decoder_norm", y)


def head(w, config, modality, hidden):
    """Logits [batch, queries, vocabulary]; the table is the decoder's token embedding."""
    table = w(f"decoder_embeddings.{KEYS[modality]}.token_emb.weight", vocabulary(config, modality), config["dim"])
    return hidden @ table.T


# ---- Motion tokenizers, specification section 2


def motion_transformer(w, name, x, tokenizer):
    """The position table, the blocks and the last MLP of either side; x [batch, tokens, dim]."""
    x = x + w(f"{name}.position_embeddings", 1, *x.shape[1:])
    for block in range(tokenizer["blocks"]):
        inner = f"{name}.blocks.{block}"
        h = layer_norm(w, f"{inner}.norm1", x, bias=True)
        x = x + self_attention(w, f"{inner}.attn", h, tokenizer["heads"], bias=True)
        x = x + mlp(w, f"{inner}.mlp", layer_norm(w, f"{inner}.norm2", x, bias=True), tokenizer["mlp_hidden"], F.gelu)
    h = layer_norm(w, f"{name}.norm_mlp", x, bias=True)
    return x + mlp(w, f"{name}.post_mlp", h, tokenizer["mlp_hidden"], torch.tanh)


def codebook(w, config, tokenizer):
    return w("quantize._codebook.embed", config["motion"]["vocabulary"], tokenizer["code_dim"])


def motion_encoder(w, config, modality, clip, taps=None):
    """Tokens [batch, samples / 2] of camera [batch, samples, 9] or gaze [batch, samples, 3] with x, y, valid."""
    taps = {} if taps is None else taps
    tokenizer = config[f"{modality}_tokenizer"]
    if modality == "gaze":
        clip = clip[..., :2] * clip[..., 2:]
    dim, channels = tokenizer["dim"], clip.shape[-1]
    weight, bias = w("encoder.conv.weight", dim, channels, 2), w("encoder.conv.bias", dim)
    x = F.conv1d(clip.transpose(1, 2), weight, bias, stride=2)
    x = taps["encoder_out"] = motion_transformer(w, "encoder", x.transpose(1, 2), tokenizer)
    code_dim = tokenizer["code_dim"]
    latent = F.linear(x, w("quant_proj.weight", code_dim, dim, 1)[..., 0], w("quant_proj.bias", code_dim))
    cosines = F.normalize(latent, dim=-1, eps=1e-12) @ F.normalize(codebook(w, config, tokenizer), dim=-1, eps=1e-12).T
    best = cosines.topk(2, dim=-1).values
    taps["latent"], taps["cos_top1"], taps["margin"] = latent, best[..., 0], best[..., 0] - best[..., 1]
    return cosines.argmax(-1)


def motion_decoder(w, config, modality, tokens, taps=None):
    """Camera [batch, samples, 9] or gaze [batch, samples, 2] of tokens [batch, samples / 2]."""
    taps = {} if taps is None else taps
    tokenizer = config[f"{modality}_tokenizer"]
    dim, channels = tokenizer["dim"], 9 if modality == "camera" else 2
    codes = taps["quant"] = codebook(w, config, tokenizer)[tokens]
    weight = w("post_quant_proj.weight", dim, tokenizer["code_dim"], 1)[..., 0]
    x = taps["post_quant"] = F.linear(codes, weight, w("post_quant_proj.bias", dim))
    x = motion_transformer(w, "decoder", x, tokenizer)
    x = linear(w, "decoder.out_proj", x, 2 * channels, bias=True)
    return x.unflatten(-1, (channels, 2)).transpose(-1, -2).flatten(1, 2)


# ---- Video tokenizer, specification section 3; tensors [batch, channels, frames, height, width]


def causal_conv(w, name, x, out, kernel, stride=1, padding=0):
    """A convolution whose first frame is repeated in front; zeros around every frame."""
    x = torch.cat([x[:, :, :1]] * (kernel[0] - 1) + [x], dim=2)
    weight, bias = w(f"{name}.conv3d.weight", out, x.shape[1], *kernel), w(f"{name}.conv3d.bias", out)
    return F.conv3d(x, weight, bias, stride=(1, stride, stride), padding=(0, padding, padding))


def factorised_conv(w, name, x, out):
    return causal_conv(w, f"{name}.1", causal_conv(w, f"{name}.0", x, out, (1, 3, 3), padding=1), out, (3, 1, 1))


def pointwise_conv(w, name, x, out):
    return causal_conv(w, name, x, out, (1, 1, 1))


def frame_norm(w, name, x):
    """One group per frame: statistics over channels, height and width."""
    channels = x.shape[1]
    frames = x.transpose(1, 2).flatten(0, 1)
    frames = F.group_norm(frames, 1, w(f"{name}.norm.weight", channels), w(f"{name}.norm.bias", channels), NORM_EPSILON)
    return frames.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


def residual_block(w, name, x, out):
    h = factorised_conv(w, f"{name}.conv1", F.silu(frame_norm(w, f"{name}.norm1", x)), out)
    h = factorised_conv(w, f"{name}.conv2", F.silu(frame_norm(w, f"{name}.norm2", h)), out)
    return h + (x if x.shape[1] == out else pointwise_conv(w, f"{name}.nin_shortcut", x, out))


def video_attention(w, name, x, temporal):
    """Single-head attention over the pixels of every frame, or over a pixel and its past."""
    width = x.shape[1]
    order = (0, 3, 4, 2, 1) if temporal else (0, 2, 3, 4, 1)
    h = frame_norm(w, f"{name}.norm", x)
    parts = [pointwise_conv(w, f"{name}.{part}", h, width).permute(order) for part in "qkv"]
    separate = parts[0].shape[:3] if temporal else parts[0].shape[:2]
    rows = [part.reshape(math.prod(separate), -1, width) for part in parts]
    steps = rows[0].shape[1]
    permitted = torch.ones(1, steps, steps, dtype=torch.bool).tril() if temporal else None
    h = attention(*rows, 1, permitted).reshape(parts[0].shape).permute([order.index(axis) for axis in range(5)])
    return x + pointwise_conv(w, f"{name}.proj_out", h, width)


def middle(w, name, x, taps, prefix):
    width = x.shape[1]
    x = taps[f"{prefix}_mid_block_1"] = residual_block(w, f"{name}.block_1", x, width)
    x = taps[f"{prefix}_mid_attn_spatial"] = video_attention(w, f"{name}.attn_1.0", x, temporal=False)
    x = taps[f"{prefix}_mid_attn_temporal"] = video_attention(w, f"{name}.attn_1.1", x, temporal=True)
    x = taps[f"{prefix}_mid_block_2"] = residual_block(w, f"{name}.block_2", x, width)
    return x


def haar_step(x):
    """Eight subbands, each with all channels, in the order LLL, LLH, ..., HHH of (time, height, width)."""
    def halves(x, axis):
        a, b = x.unflatten(axis, (x.shape[axis] // 2, 2)).unbind(axis + 1)
        return a + b, a - b
    bands = [x]
    for axis in (2, 3, 4):
        bands = [half for band in bands for half in halves(band, axis)]
    return torch.cat(bands, dim=1) / 8


def inverse_haar_step(x):
    bands = list(x.chunk(8, dim=1))
    for axis in (4, 3, 2):
        pairs = zip(bands[::2], bands[1::2])
        bands = [torch.stack([low + high, low - high], axis + 1).flatten(axis, axis + 1) for low, high in pairs]
    return bands[0]


def fsq_bound(latent, levels):
    """The values that are rounded to digits; channels are axis 1."""
    shape = (1, -1, 1, 1, 1)
    count = torch.tensor(levels, dtype=latent.dtype).reshape(shape)
    half = (count - 1) * 1.001 / 2
    offset = torch.where(count % 2 == 0, 0.5, 0.0).to(latent.dtype)
    return torch.tanh(latent + torch.atanh(offset / half)) * half - offset


def video_encoder(w, config, video, taps=None):
    """Tokens [batch, t, h, w] of video [batch, 3, frames, height, width] in [-1, 1]; frames = 4k + 1."""
    taps = {} if taps is None else taps
    tokenizer = config["video_tokenizer"]
    widths = [multiplier * tokenizer["channels"] for multiplier in tokenizer["channel_multipliers"]]
    x = torch.cat([video[:, :, :1]] * (PATCH - 1) + [video], dim=2)
    x = taps["enc_patch"] = haar_step(haar_step(x))
    x = taps["enc_conv_in"] = factorised_conv(w, "encoder.conv_in", x, tokenizer["channels"])
    for level, width in enumerate(widths):
        for block in range(tokenizer["residual_blocks"]):
            x = residual_block(w, f"encoder.down.{level}.block.{block}", x, width)
        if level == 0:
            name = "encoder.down.0.downsample"
            x = F.pad(x, (0, 1, 0, 1))
            pooled = F.avg_pool3d(x, (1, 2, 2), stride=(1, 2, 2))
            x = causal_conv(w, f"{name}.conv1", x, width, (1, 3, 3), stride=2) + pooled
            x = taps["enc_down0_downsample"] = pointwise_conv(w, f"{name}.conv3", x, width)
    x = middle(w, "encoder.mid", x, taps, "enc")
    x = F.silu(frame_norm(w, "encoder.norm_out", x))
    x = taps["encoder_out"] = factorised_conv(w, "encoder.conv_out", x, tokenizer["z_channels"])
    levels = tokenizer["levels"]
    latent = taps["latent"] = pointwise_conv(w, "quant_conv", x, len(levels))
    bounded = taps["bounded"] = fsq_bound(latent, levels)
    taps["margin"] = 0.5 - (bounded - bounded.round()).abs()
    tokens, basis = torch.zeros(latent.shape[0], *latent.shape[2:], dtype=torch.int64), 1
    for channel, count in enumerate(levels):
        tokens += (bounded[:, channel].round().to(torch.int64) + count // 2) * basis
        basis *= count
    return tokens


def video_decoder(w, config, tokens, taps=None):
    """Video [batch, 3, frames, height, width] of tokens [batch, t, h, w]."""
    taps = {} if taps is None else taps
    tokenizer = config["video_tokenizer"]
    widths = [multiplier * tokenizer["channels"] for multiplier in tokenizer["channel_multipliers"]]
    codes, rest = [], tokens
    for count in tokenizer["levels"]:
        codes.append((rest % count - count // 2).to(w.dtype) / (count // 2))
        rest = rest // count
    x = taps["codes"] = torch.stack(codes, dim=1)
    x = pointwise_conv(w, "post_quant_conv", x, tokenizer["z_channels"])
    x = taps["dec_conv_in"] = factorised_conv(w, "decoder.conv_in", x, widths[2])
    x = middle(w, "decoder.mid", x, taps, "dec")
    for level in (2, 1, 0):
        for block in range(tokenizer["residual_blocks"] + 1):
            x = residual_block(w, f"decoder.up.{level}.block.{block}", x, widths[level])
        if level == 2:
            name = "decoder.up.2.upsample"
            x = x.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
            x = causal_conv(w, f"{name}.conv2", x, widths[2], (1, 3, 3), padding=1) + x
            x = pointwise_conv(w, f"{name}.conv3", x, widths[2])
    x = F.silu(frame_norm(w, "decoder.norm_out", x))
    x = taps["dec_conv_out"] = factorised_conv(w, "decoder.conv_out", x, 3 * PATCH**3)
    return inverse_haar_step(inverse_haar_step(x))[:, :, PATCH - 1 :]


# ---- Generation, specification section 4


def linear_schedule(total, steps):
    """How many tokens each step decodes, larger steps first."""
    ends = torch.linspace(0, total, steps + 1, dtype=torch.float64).floor().to(torch.int64)
    return [count for count in sorted(ends.diff().tolist(), reverse=True) if count > 0]


def step_positions(decoded, count, seed):
    """A random `count` of the positions that are not decoded yet; decoded bool [positions]."""
    draws = torch.rand(decoded.numel(), generator=torch.Generator().manual_seed(seed))
    return torch.argsort(decoded.to(torch.float32) + 1e-6 * draws)[:count]


def generate(w, config, condition, condition_tokens, target, steps, guidance, seed=0):
    """Greedy decoding of one target from one condition; one dict a step, then all tokens.

    condition_tokens int64 [positions]. A step's dict has positions, tokens, best (the largest guided logit), margin
    (its lead), logits_conditional and logits_unconditional.
    """
    length = n_tokens(config, target)
    tokens, decoded = torch.zeros(length, dtype=torch.int64), torch.zeros(length, dtype=torch.bool)
    rows = {condition: (condition_tokens, torch.arange(condition_tokens.numel()))}

    def logits(positions, with_condition):
        seen = dict(rows if with_condition else {})
        places = decoded.nonzero()[:, 0]
        seen[target] = tokens[places], places
        ids = torch.cat([ids for ids, _ in seen.values()])[None]
        place = torch.cat([place for _, place in seen.values()])[None]
        modality = torch.cat([torch.full_like(i, MODALITIES.index(name)) for name, (i, _) in seen.items()])[None]
        visible = torch.ones_like(ids, dtype=torch.bool)
        context = encoder(w, config, ids, modality, place, visible)
        queries = positions[None]
        hidden = decoder(w, config, context, visible, torch.full_like(queries, MODALITIES.index(target)), queries,
                         torch.ones_like(queries, dtype=torch.bool))
        return head(w, config, target, hidden)[0]

    done = []
    for step, count in enumerate(linear_schedule(length, steps)):
        positions = step_positions(decoded, count, seed + step)
        conditional, unconditional = logits(positions, True), logits(positions, False)
        guided = unconditional + (conditional - unconditional) * guidance
        best = guided.topk(2, dim=-1).values
        tokens[positions] = guided.argmax(-1)
        decoded[positions] = True
        done.append(dict(positions=positions, tokens=tokens[positions], best=best[:, 0], margin=best[:, 0] - best[:, 1],
                         logits_conditional=conditional, logits_unconditional=unconditional))
    return done, tokens
