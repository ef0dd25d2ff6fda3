"""The sizes of the presets, in the fields of a weights folder's config.json, and what follows from them."""
import math

MODALITIES = ("camera", "depth", "gaze", "rgb")
KEYS = {"camera": "tok_cam", "depth": "tok_depth", "gaze": "tok_gaze", "rgb": "tok_rgb"}
CHANNELS = {"camera": 9, "gaze": 2}
# Steps of the published scripts.
STEPS = {"camera": 3, "depth": 3, "gaze": 5, "rgb": 6}


def _motion_tokenizer(dim, heads, blocks, mlp_hidden, code_dim):
    return {"dim": dim, "heads": heads, "blocks": blocks, "mlp_hidden": mlp_hidden, "code_dim": code_dim}


PRESETS = {
    "egom2p-base": {
        "dim": 768, "heads": 12, "encoder_blocks": 12, "decoder_blocks": 12, "mlp_hidden": 2048,
        "video": {"frames": 16, "height": 256, "width": 256, "vocabulary": 64000},
        "motion": {"samples": 60, "vocabulary": 256},
        "video_tokenizer": {"channels": 128, "channel_multipliers": [2, 4, 4], "residual_blocks": 2, "z_channels": 16,
                            "levels": [8, 8, 8, 5, 5, 5]},
        "camera_tokenizer": _motion_tokenizer(768, 12, 12, 3072, 32),
        "gaze_tokenizer": _motion_tokenizer(768, 12, 12, 3072, 32),
    },
    "egom2p-tiny": {
        "dim": 192, "heads": 6, "encoder_blocks": 4, "decoder_blocks": 4, "mlp_hidden": 512,
        "video": {"frames": 16, "height": 64, "width": 64, "vocabulary": 1000},
        "motion": {"samples": 60, "vocabulary": 256},
        "video_tokenizer": {"channels": 32, "channel_multipliers": [1, 2, 2], "residual_blocks": 1, "z_channels": 8,
                            "levels": [8, 5, 5, 5]},
        "camera_tokenizer": _motion_tokenizer(96, 4, 4, 384, 16),
        "gaze_tokenizer": _motion_tokenizer(96, 4, 4, 384, 16),
    },
}


def is_video(modality):
    return modality in ("depth", "rgb")


def token_grid(config):
    """(t, h, w) of a clip's video tokens."""
    video = config["video"]
    return video["frames"] // 4 + 1, video["height"] // 8, video["width"] // 8


def padded_frames(config):
    """Frames of a clip with what is appended so that they are 4k + 1."""
    return 4 * (config["video"]["frames"] // 4) + 1


def n_tokens(config, modality):
    return math.prod(token_grid(config)) if is_video(modality) else config["motion"]["samples"] // 2


def vocabulary(config, modality):
    return config["video" if is_video(modality) else "motion"]["vocabulary"]


def linear_schedule(total, steps):
    """How many tokens each step decodes, larger steps first."""
    ends = [total * step // steps for step in range(steps + 1)]
    counts = sorted((end - begin for begin, end in zip(ends, ends[1:])), reverse=True)
    return [count for count in counts if count > 0]
