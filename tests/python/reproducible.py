"""Weights that follow from their names, so that reference values need no stored weights.

Value i (row-major) of the tensor `<model>/<name>` is float32(offset + scale * u_i), in float64 and rounded once, with
u_i = (splitmix64(key + i) >> 40) * 2**-23 - 1 and key = FNV-1a-64 of "{seed}:<model>/<name>"; integers modulo 2**64.
`<model>` is egom2p, gaze, cam or video. Position embeddings, codebooks and what is centred on a position embedding have
rules of their own.
"""
import math
import re

import numpy as np

MOTION_TOKENS = 30
VIDEO_STEPS = 5


def uniform(seed, name, count):
    """u_0 to u_(count-1) of a tensor: float64 in [-1, 1)."""
    state = np.arange(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        state += np.uint64(_fnv1a64(f"{seed}:{name}"))
        state += np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def position_table_1d(length, dim):
    """[length, dim]: all sines, then all cosines, of frequencies 10000^(-i / (dim/2)); specification section 1.3."""
    frequencies = 10000.0 ** -(np.arange(dim // 2) / (dim / 2))
    angles = np.arange(length)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def position_table_3d(steps, side, dim):
    """[steps * side * side, dim]: a third of the channels per axis t, h, w, sines and cosines interleaved."""
    channels = dim // 3
    frequencies = 10000.0 ** -(np.arange(0, channels, 2) / channels)

    def axis(size):
        angles = np.arange(size)[:, None] * frequencies
        return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(size, channels)

    grid = (steps, side, side, channels)
    t = np.broadcast_to(axis(steps)[:, None, None], grid)
    h = np.broadcast_to(axis(side)[None, :, None], grid)
    w = np.broadcast_to(axis(side)[None, None, :], grid)
    return np.concatenate([t, h, w], axis=-1).reshape(-1, dim).astype(np.float32)


def tensor(seed, name, shape, video_side):
    """The float32 values of `<model>/<name>`; `video_side` is the height and width of the video token grid."""
    name = re.sub(r"^egom2p/decoder_embeddings\.(\w+)\.mod_emb$", r"egom2p/encoder_embeddings.\1.mod_emb", name)
    name = re.sub(r"^egom2p/decoder_embeddings\.(\w+)\.to_logits\.weight$",
                  r"egom2p/decoder_embeddings.\1.token_emb.weight", name)
    count = math.prod(shape)
    rule = next((rule for pattern, rule in _RULES if re.fullmatch(pattern, name)), None)
    if rule is None:
        raise KeyError(f"no rule for {name}")
    return rule(seed, name, tuple(shape), count, video_side).astype(np.float32).reshape(shape)


def _fnv1a64(text):
    key = 0xCBF29CE484222325
    for byte in text.encode():
        key = (key ^ byte) * 0x100000001B3 % 2**64
    return key


def _affine(offset, scale):
    return lambda seed, name, shape, count, side: offset + scale * uniform(seed, name, count)


def _matrix(gain):
    return lambda seed, name, shape, count, side: (
        gain * math.sqrt(3 / math.prod(shape[1:])) * uniform(seed, name, count))


def _positions(seed, name, shape, count, side):
    _, length, dim = shape
    video = "tok_rgb" in name or "tok_depth" in name
    return position_table_3d(VIDEO_STEPS, side, dim) if video else position_table_1d(length, dim)


def _centred(scale):
    def values(seed, name, shape, count, side):
        length = VIDEO_STEPS * side * side if "tok_rgb" in name or "tok_depth" in name else MOTION_TOKENS
        table = _positions(seed, name, (1, length, shape[-1]), count, side)
        return scale * uniform(seed, name, count) - table.astype(np.float64).mean(axis=0)
    return values


def _codebook(seed, name, shape, count, side):
    rows = uniform(seed, name, count).reshape(shape)
    lengths = 0.9 + 0.1 * uniform(seed, name + ".norms", shape[0])
    return rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True)) * lengths[:, None]


# The first pattern that matches the whole name counts.
_RULES = [
    (r"egom2p/\w+_embeddings\.\w+\.pos_emb", _positions),
    (r"egom2p/encoder_embeddings\.\w+\.token_emb\.weight", _affine(0, 1)),
    (r"egom2p/decoder_embeddings\.\w+\.token_emb\.weight", _matrix(3)),
    (r"egom2p/encoder_embeddings\.\w+\.mod_emb", _centred(0.2)),
    (r"egom2p/mask_token", _affine(0, 0.2)),
    (r"egom2p/.*norm\w*\.weight", _affine(1, 0.2)),
    (r"egom2p/.*norm\w*\.bias", _affine(0, 0)),
    (r"egom2p/.*\.bias", _affine(0, 0.05)),
    (r"egom2p/.*\.(qkv|q|kv)\.weight", _matrix(2)),
    (r"egom2p/.*\.weight", _matrix(1.3)),
    (r"(gaze|cam)/\w+\.position_embeddings", _positions),
    (r"(gaze|cam)/quantize\._codebook\.embed", _codebook),
    (r"(gaze|cam)/.*norm\w*\.weight", _affine(1, 0.2)),
    (r"(gaze|cam)/(encoder\.conv|post_quant_proj)\.bias", _centred(0.05)),
    (r"(gaze|cam)/.*\.bias", _affine(0, 0.05)),
    (r"(gaze|cam)/encoder\.conv\.weight", _matrix(5)),
    (r"(gaze|cam)/quant_proj\.weight", _matrix(0.25)),
    (r"(gaze|cam)/post_quant_proj\.weight", _matrix(4)),
    (r"(gaze|cam)/decoder\.out_proj\.weight", _matrix(0.15)),
    (r"(gaze|cam)/.*\.qkv\.weight", _matrix(2)),
    (r"(gaze|cam)/.*\.weight", _matrix(0.8)),
    (r"video/.*\.norm\.weight", _affine(1, 0.2)),
    (r"video/.*\.bias", _affine(0, 0.05)),
    (r"video/quant_conv\.conv3d\.weight", _matrix(1)),
    (r"video/decoder\.conv_out\.1\.conv3d\.weight", _matrix(0.07)),
    (r"video/.*\.weight", _matrix(1.3)),
]
