"""Writes the small reference values in tests/golden with reference.py.

    python make_goldens.py ../golden

One NAME.safetensors and NAME.json per stage, and one per generation. Values are computed in float64 and rounded to
float32; the largest difference of a float32 run gives the tolerance. Inputs come from seeded generators; where tokens
are compared, the first seed counts whose margins leave no doubt about them.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import reference

WEIGHT_SEED = 0
CONFIG = {
    "dim": 24,
    "heads": 2,
    "encoder_blocks": 2,
    "decoder_blocks": 2,
    "mlp_hidden": 40,
    "video": {"frames": 16, "height": 32, "width": 32, "vocabulary": 200},
    "motion": {"samples": 60, "vocabulary": 64},
    "video_tokenizer": {"channels": 8, "channel_multipliers": [2, 3, 4], "residual_blocks": 1, "z_channels": 6,
                        "levels": [8, 5, 5]},
    "camera_tokenizer": {"dim": 24, "heads": 3, "blocks": 2, "mlp_hidden": 48, "code_dim": 8},
    "gaze_tokenizer": {"dim": 16, "heads": 2, "blocks": 3, "mlp_hidden": 40, "code_dim": 6},
}
SIDE = reference.token_grid(CONFIG)[1]
# A float32 implementation may sum in another order than torch, and over other blocks.
TOLERANCE_FACTOR = 8
# Tokens are compared where the choice leads by this many tolerances of what it is made from.
MARGIN_FACTOR = 10
MAX_BYTES = 150_000


def weights(part, dtype):
    return reference.Weights(part, WEIGHT_SEED, SIDE, dtype)


def rounded_up(value):
    """Two significant digits, not below `value`."""
    digit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / digit) * digit:.2g}")


def compared(exact, single, rows=None):
    """The float32 values of a float64 result with their tolerance; `rows` bool picks the rows that mean something."""
    difference = (exact - single.to(torch.float64)).abs()
    if rows is not None:
        difference, exact = difference[rows], exact * rows[..., None]
    measured = difference.max().item() if difference.numel() else 0.0
    scale = exact.abs().max().item() if exact.numel() else 0.0
    tolerance = rounded_up(max(TOLERANCE_FACTOR * measured, 1e-6 * scale, 1e-7))
    about = {"max_abs": scale, "fp32_vs_fp64_max_abs": measured, "tolerance": tolerance}
    return exact.to(torch.float32).contiguous(), about


class Golden:
    """One file: cases of a stage."""

    def __init__(self, stage, part):
        self.tensors = {}
        self.about = {"stage": stage, "part": part, "config": CONFIG, "weight_seed": WEIGHT_SEED,
                      "model_prefix": reference.PREFIXES[part], "torch": torch.__version__, "cases": {}}

    def case(self, name, variant, seed, inputs, outputs):
        """inputs: name -> tensor; outputs: name -> (tensor, facts)."""
        facts = {}
        for key, value in inputs.items():
            self.tensors[f"{name}/in/{key}"] = value.contiguous()
        for key, (value, about) in outputs.items():
            self.tensors[f"{name}/out/{key}"] = value.contiguous()
            facts[key] = about
        self.about["cases"][name] = {"variant": variant, "input_seed": seed, "outputs": facts}

    def write(self, folder, name):
        path = folder / f"{name}.safetensors"
        save_file(self.tensors, path)
        path.chmod(0o644)
        assert path.stat().st_size <= MAX_BYTES, f"{path} has {path.stat().st_size} bytes"
        (folder / f"{name}.json").write_text(json.dumps(self.about, indent=1) + "\n")
        print(f"{path.name}: {path.stat().st_size} bytes")


def random_rows(generator, batch, length, modalities, filled):
    """Rows of mixed modalities with distinct positions; `filled[sample]` of them are used, the others hold nonsense."""
    modality = torch.tensor([[modalities[row % len(modalities)] for row in range(length)]] * batch, dtype=torch.int64)
    modality = modality.sort(dim=1).values.reshape(batch, length)
    position, tokens = torch.zeros_like(modality), torch.zeros_like(modality)
    for index, name in enumerate(reference.MODALITIES):
        for sample in range(batch):
            own = modality[sample] == index
            count = int(own.sum())
            position[sample, own] = torch.randperm(reference.n_tokens(CONFIG, name), generator=generator)[:count]
            tokens[sample, own] = torch.randint(reference.vocabulary(CONFIG, name), (count,), generator=generator)
    mask = torch.arange(length)[None] < torch.tensor(filled)[:, None]
    tokens, modality, position = (value.where(mask, nonsense)
                                  for value, nonsense in ((tokens, -1), (modality, 7), (position, 2**40)))
    order = torch.stack([torch.randperm(length, generator=generator) for _ in range(batch)]) if length else position
    return [value.gather(1, order) for value in (tokens, modality, position)] + [mask.gather(1, order)]


def encoder_golden():
    golden = Golden("encoder", "model")
    shapes = {"masked": ("masked", 3, 14, [14, 9, 0]), "masked_empty": ("masked", 2, 0, [0, 0]),
              "unmasked": ("unmasked", 2, 11, [11, 11]), "unmasked_one": ("unmasked", 1, 1, [1])}
    for seed, (name, (variant, batch, length, filled)) in enumerate(shapes.items()):
        generator = torch.Generator().manual_seed(seed)
        tokens, modality, position, mask = random_rows(generator, batch, length, range(4), filled)
        inputs = {"tokens": tokens, "modality": modality, "position": position}
        if variant == "masked":
            inputs["visible_mask"] = mask
        run = lambda dtype: reference.encoder(weights("model", dtype), CONFIG, tokens, modality, position, mask)
        value, about = compared(run(torch.float64), run(torch.float32), mask)
        if variant == "masked":
            about["rows"] = "visible_mask"
        golden.case(name, variant, seed, inputs, {"context": (value, about)})
    return golden


def decoder_golden():
    golden = Golden("decoder", "model")
    shapes = {"masked": ("masked", 3, 10, [10, 4, 0], 12, [12, 7, 9], range(4)),
              "masked_nothing_visible": ("masked", 1, 0, [0], 5, [5], range(4)),
              "unmasked": ("unmasked", 2, 9, [9, 9], 8, [8, 8], [3]),
              "unmasked_one": ("unmasked", 1, 1, [1], 1, [1], [0]),
              "contextless": ("contextless", 2, 0, [0, 0], 8, [8, 8], [1])}
    for seed, (name, (variant, batch, visible, seen, queries, used, modalities)) in enumerate(shapes.items()):
        generator = torch.Generator().manual_seed(100 + seed)
        context = torch.randn(batch, visible, CONFIG["dim"], generator=generator)
        visible_mask = torch.arange(visible)[None] < torch.tensor(seen)[:, None]
        _, modality, position, query_mask = random_rows(generator, batch, queries, list(modalities), used)
        inputs = {"modality": modality, "position": position}
        if variant != "contextless":
            inputs["context"] = context
        if variant == "masked":
            inputs |= {"visible_mask": visible_mask, "query_mask": query_mask}
        run = lambda dtype: reference.decoder(weights("model", dtype), CONFIG, context.to(dtype), visible_mask,
                                              modality, position, query_mask)
        value, about = compared(run(torch.float64), run(torch.float32), query_mask)
        if variant == "masked":
            about["rows"] = "query_mask"
        golden.case(name, variant, 100 + seed, inputs, {"hidden": (value, about)})
    return golden


def head_golden(modality):
    golden = Golden(f"head_{modality}", "model")
    seed = 200 + reference.MODALITIES.index(modality)
    hidden = torch.randn(2, 5, CONFIG["dim"], generator=torch.Generator().manual_seed(seed))
    run = lambda dtype: reference.head(weights("model", dtype), CONFIG, modality, hidden.to(dtype))
    logits = compared(run(torch.float64), run(torch.float32))
    golden.case("rows", "default", seed, {"hidden": hidden}, {"logits": logits})
    return golden


def sure_tokens(name, draw, run, first_seed):
    """Tokens of the first seeded input whose margins exceed MARGIN_FACTOR tolerances of the margin."""
    for seed in range(first_seed, first_seed + 100):
        value = draw(torch.Generator().manual_seed(seed))
        exact, single = {}, {}
        tokens = run(torch.float64, value, exact)
        run(torch.float32, value, single)
        _, about = compared(exact["margin"], single["margin"])
        least = exact["margin"].min().item()
        if least > MARGIN_FACTOR * about["tolerance"]:
            facts = {"tolerance": "exact", "min_margin": least, "margin_tolerance": about["tolerance"],
                     "distinct": tokens.unique().numel()}
            return seed, value, (tokens, facts)
    raise RuntimeError(f"no input of {name} has clear margins")


def motion_goldens(modality):
    def draw(generator):
        steps = torch.randn(3, CONFIG["motion"]["samples"], 9 if modality == "camera" else 2, generator=generator)
        clip = torch.tanh(steps.cumsum(1) / 8) * 2
        if modality == "gaze":
            valid = torch.rand(*clip.shape[:2], 1, generator=generator) > 0.2
            clip = torch.cat([clip / 2, valid.to(torch.float32)], dim=-1)
        return clip

    encode = Golden(f"{modality}_encoder", modality)
    def run(dtype, clip, taps):
        return reference.motion_encoder(weights(modality, dtype), CONFIG, modality, clip.to(dtype), taps)

    seed, clip, tokens = sure_tokens(f"{modality}_encoder", draw, run, 300)
    encode.case("clips", "default", seed, {modality: clip}, {"tokens": tokens})
    decode = Golden(f"{modality}_decoder", modality)
    shape = 3, CONFIG["motion"]["samples"] // 2
    ids = torch.randint(CONFIG["motion"]["vocabulary"], shape, generator=torch.Generator().manual_seed(400))
    run = lambda dtype: reference.motion_decoder(weights(modality, dtype), CONFIG, modality, ids)
    decode.case("clips", "default", 400, {"tokens": ids}, {modality: compared(run(torch.float64), run(torch.float32))})
    return encode, decode


def video_goldens():
    def clip(batch, frames, height, width):
        def draw(generator):
            coarse = torch.rand(batch, 3, (frames + 3) // 4, height // 8, width // 8, generator=generator)
            smooth = torch.nn.functional.interpolate(coarse, (frames, height, width), mode="trilinear")
            noise = torch.rand(batch, 3, frames, height, width, generator=generator)
            return ((smooth * 0.8 + noise * 0.2) * 255).floor() / 255 * 2 - 1
        return draw

    encode, decode = Golden("video_encoder", "video"), Golden("video_decoder", "video")
    run = lambda dtype, video, taps: reference.video_encoder(weights("video", dtype), CONFIG, video.to(dtype), taps)
    for name, shape in {"clip": (1, 9, 32, 32), "frames": (2, 1, 16, 24)}.items():
        seed, video, tokens = sure_tokens(f"video_encoder {name}", clip(*shape), run, 500)
        encode.case(name, "default", seed, {"video": video}, {"tokens": tokens})
    for name, shape in {"clip": (1, 3, 4, 4), "frames": (2, 1, 2, 3)}.items():
        ids = torch.randint(CONFIG["video"]["vocabulary"], shape, generator=torch.Generator().manual_seed(600))
        run = lambda dtype: reference.video_decoder(weights("video", dtype), CONFIG, ids)
        decode.case(name, "default", 600, {"tokens": ids}, {"video": compared(run(torch.float64), run(torch.float32))})
    return encode, decode


def generation_golden(condition, target, steps):
    """Greedy decoding; float32 and float64 choose the same tokens with clear margins."""
    golden = Golden(f"generate_{condition}_to_{target}", "model")
    length = reference.n_tokens(CONFIG, condition)
    for seed in range(700, 800):
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.randint(reference.vocabulary(CONFIG, condition), (length,), generator=generator)
        runs = [reference.generate(weights("model", dtype), CONFIG, condition, tokens, target, steps, guidance=2.0)
                for dtype in (torch.float64, torch.float32)]
        (exact, decoded), (single, again) = runs
        outputs, clear = {}, torch.equal(decoded, again)
        for index, (step, other) in enumerate(zip(exact, single)):
            best, about = compared(step["best"], other["best"])
            margin = step["margin"].min().item()
            clear = clear and margin > MARGIN_FACTOR * about["tolerance"]
            outputs[f"step{index}/positions"] = step["positions"], {"tolerance": "exact"}
            outputs[f"step{index}/tokens"] = step["tokens"], {"tolerance": "exact", "min_margin": margin}
            outputs[f"step{index}/best"] = best, about
        for key in ("logits_conditional", "logits_unconditional"):
            outputs[f"step0/{key}"] = compared(exact[0][key], single[0][key])
        outputs["tokens"] = decoded, {"tolerance": "exact", "distinct": decoded.unique().numel()}
        if clear:
            golden.about |= {"condition": condition, "target": target, "steps": steps, "guidance": 2.0,
                             "temperature": 0.0, "seed": 0}
            golden.case("greedy", "default", seed, {"tokens": tokens}, outputs)
            return golden
    raise RuntimeError(f"no tokens of {condition} give clear choices")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder = pathlib.Path(sys.argv[1])
    with torch.no_grad():
        goldens = [encoder_golden(), decoder_golden(), *map(head_golden, reference.MODALITIES),
                   *motion_goldens("camera"), *motion_goldens("gaze"), *video_goldens(),
                   generation_golden("rgb", "camera", 3), generation_golden("rgb", "depth", 3)]
    for golden in goldens:
        golden.write(folder, golden.about["stage"])


if __name__ == "__main__":
    main()
