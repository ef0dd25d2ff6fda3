"""Operations and bytes of the stages and of whole clips, by hand from the sizes: the floors in README.md.

    python costs.py

A multiplication with its addition counts as 2 operations. Products alone are counted: linear maps, convolutions and
attention, every query with every key. A product reads its operands and writes its result once; what attention
multiplies inside is left out.
"""
from presets import CHANNELS, PRESETS, STEPS, is_video, linear_schedule, n_tokens, padded_frames, token_grid, vocabulary

# NVIDIA's data sheet of the H100 Tensor Core GPU: TFLOP/s without sparsity (it prints the tensor cores' with, twice as
# high), and TB/s.
H100 = {
    "SXM": {"fp16": 989.4, "TF32": 494.7, "fp32": 66.9, "bandwidth": 3.35},
    "PCIe": {"fp16": 756.5, "TF32": 378.0, "fp32": 51.2, "bandwidth": 2.0},
}


class Cost:
    """A sum over products; `bytes` of elements of `element_bytes`, `weight_bytes` the part that are weights."""

    def __init__(self, element_bytes=4):
        self.element_bytes = element_bytes
        self.flops = self.bytes = self.weight_bytes = 0

    def product(self, n_inputs, n_weights, n_outputs, n_terms):
        """A linear map or convolution: every output sums n_terms products."""
        self.flops += 2 * n_outputs * n_terms
        self.weight_bytes += n_weights * self.element_bytes
        self.bytes += (n_inputs + n_weights + n_outputs) * self.element_bytes

    def linear(self, rows, inputs, outputs, bias=False):
        self.product(rows * inputs, inputs * outputs + bias * outputs, rows * outputs, inputs)

    def convolution(self, places, inputs, outputs, kernel, n_places_in=None):
        n_weights = outputs * inputs * kernel + outputs
        self.product((n_places_in or places) * inputs, n_weights, places * outputs, inputs * kernel)

    def attention(self, batch, queries, keys, dim, mask_bytes=0):
        self.flops += 4 * batch * queries * keys * dim
        self.bytes += 2 * batch * (queries + keys) * dim * self.element_bytes + mask_bytes

    def add(self, other, times=1):
        self.flops += times * other.flops
        self.bytes += times * other.bytes
        self.weight_bytes += times * other.weight_bytes
        return self


def stage_cost(config, stage, variant, dims, element_bytes=4):
    """The cost of a call; dims as in a row of the benchmark."""
    cost = Cost(element_bytes)
    batch, dim, hidden = dims["batch"], config["dim"], config["mlp_hidden"]
    if stage in ("encoder", "decoder"):
        if stage == "encoder":
            rows, keys = dims["visible"], 0
        else:
            rows, keys = dims["queries"], 0 if variant == "contextless" else dims["visible"]
        masked = variant == "masked"
        own_mask = batch * rows * (rows if stage == "decoder" else 1)
        for _ in range(config[f"{stage}_blocks"]):
            cost.linear(batch * rows, dim, 3 * dim)
            cost.attention(batch, rows, rows, dim, masked * own_mask)
            cost.linear(batch * rows, dim, dim)
            if keys:
                cost.linear(batch * rows, dim, dim)
                cost.linear(batch * keys, dim, 2 * dim)
                cost.attention(batch, rows, keys, dim, masked * batch * keys)
                cost.linear(batch * rows, dim, dim)
            cost.linear(batch * rows, dim, hidden)
            cost.linear(batch * rows, dim, hidden)
            cost.linear(batch * rows, hidden, dim)
        if stage == "encoder":
            cost.linear(batch * rows, dim, dim, bias=True)
    elif stage.startswith("head_"):
        cost.linear(batch * dims["queries"], dim, vocabulary(config, stage.removeprefix("head_")))
    elif stage.startswith("video_"):
        (_video_encoder if stage == "video_encoder" else _video_decoder)(cost, config, batch)
    else:
        modality, side = stage.split("_")
        _motion_tokenizer(cost, config, modality, side, batch)
    return cost


def _motion_tokenizer(cost, config, modality, side, batch):
    tokenizer, channels = config[f"{modality}_tokenizer"], CHANNELS[modality]
    dim, hidden, code_dim = tokenizer["dim"], tokenizer["mlp_hidden"], tokenizer["code_dim"]
    tokens = n_tokens(config, modality)
    rows = batch * tokens
    if side == "encoder":
        cost.linear(rows, 2 * channels, dim, bias=True)
    else:
        cost.linear(rows, code_dim, dim, bias=True)
    for _ in range(tokenizer["blocks"]):
        cost.linear(rows, dim, 3 * dim, bias=True)
        cost.attention(batch, tokens, tokens, dim)
        cost.linear(rows, dim, dim, bias=True)
        cost.linear(rows, dim, hidden, bias=True)
        cost.linear(rows, hidden, dim, bias=True)
    cost.linear(rows, dim, hidden, bias=True)
    cost.linear(rows, hidden, dim, bias=True)
    if side == "encoder":
        cost.linear(rows, dim, code_dim, bias=True)
        cost.linear(rows, code_dim, config["motion"]["vocabulary"])
    else:
        cost.linear(rows, dim, 2 * channels, bias=True)


def _factorised(cost, places, inputs, outputs):
    cost.convolution(places, inputs, outputs, 9)
    cost.convolution(places, outputs, outputs, 3)


def _residual(cost, places, inputs, outputs):
    _factorised(cost, places, inputs, outputs)
    _factorised(cost, places, outputs, outputs)
    if inputs != outputs:
        cost.convolution(places, inputs, outputs, 1)


def _middle(cost, frames, pixels, width):
    _residual(cost, frames * pixels, width, width)
    for batch, length in ((frames, pixels), (pixels, frames)):
        for _ in "qkv":
            cost.convolution(frames * pixels, width, width, 1)
        cost.attention(batch, length, length, width)
        cost.convolution(frames * pixels, width, width, 1)
    _residual(cost, frames * pixels, width, width)


def _video_sizes(config, batch):
    """Frames of all clips, pixels of a frame at the coarse and at the fine grid, widths of the levels."""
    tokenizer, (t, h, w) = config["video_tokenizer"], token_grid(config)
    widths = [multiplier * tokenizer["channels"] for multiplier in tokenizer["channel_multipliers"]]
    return batch * t, h * w, 4 * h * w, widths


def _video_encoder(cost, config, batch):
    tokenizer = config["video_tokenizer"]
    frames, coarse, fine, widths = _video_sizes(config, batch)
    width = tokenizer["channels"]
    _factorised(cost, frames * fine, 3 * 64, width)
    for level, outputs in enumerate(widths):
        pixels = fine if level == 0 else coarse
        for _ in range(tokenizer["residual_blocks"]):
            _residual(cost, frames * pixels, width, outputs)
            width = outputs
        if level == 0:
            cost.convolution(frames * coarse, width, width, 9, n_places_in=frames * fine)
            cost.convolution(frames * coarse, width, width, 1)
    _middle(cost, frames, coarse, width)
    _factorised(cost, frames * coarse, width, tokenizer["z_channels"])
    cost.convolution(frames * coarse, tokenizer["z_channels"], len(tokenizer["levels"]), 1)


def _video_decoder(cost, config, batch):
    tokenizer = config["video_tokenizer"]
    frames, coarse, fine, widths = _video_sizes(config, batch)
    width = widths[2]
    cost.convolution(frames * coarse, len(tokenizer["levels"]), tokenizer["z_channels"], 1)
    _factorised(cost, frames * coarse, tokenizer["z_channels"], width)
    _middle(cost, frames, coarse, width)
    for level in (2, 1, 0):
        pixels = coarse if level == 2 else fine
        for _ in range(tokenizer["residual_blocks"] + 1):
            _residual(cost, frames * pixels, width, widths[level])
            width = widths[level]
        if level == 2:
            cost.convolution(frames * fine, width, width, 9)
            cost.convolution(frames * fine, width, width, 1)
    _factorised(cost, frames * fine, width, 3 * 64)


def calls(config, targets, chaining, shared=False, padded=False, guided_hidden=False, steps=STEPS):
    """The calls of the transformer for a clip given RGB tokens: (stage, variant, dims) of one clip, guidance on.

    chaining: "independent" or "growing" (finished targets join the condition). shared: targets share an encoding of
    the same tokens. padded: the unconditional pass is as long as the conditional. guided_hidden: guidance mixes hidden
    rows, so that one head is left.
    """
    condition, encoded, result = n_tokens(config, "rgb"), set(), []
    for target in targets:
        decoded = 0
        for queries in linear_schedule(n_tokens(config, target), steps[target]):
            visible, unconditional = condition + decoded, condition + decoded if padded else decoded
            # Without decoded tokens, what is visible is the condition alone.
            if not (shared and decoded == 0 and condition in encoded):
                result.append(("encoder", "unmasked", {"batch": 1, "visible": visible}))
            encoded.add(visible if decoded == 0 else None)
            result.append(("decoder", "unmasked", {"batch": 1, "visible": visible, "queries": queries}))
            if unconditional:
                result.append(("encoder", "unmasked", {"batch": 1, "visible": unconditional}))
            variant = "unmasked" if unconditional else "contextless"
            result.append(("decoder", variant, {"batch": 1, "visible": unconditional, "queries": queries}))
            heads = 1 if guided_hidden else 2
            result += [(f"head_{target}", "default", {"batch": 1, "queries": queries})] * heads
            decoded += queries
        if chaining == "growing":
            condition += decoded
    return result


def tokenizer_calls(config, targets):
    """The calls of the tokenizers for a clip from RGB video to predictions."""
    t, h, w = token_grid(config)
    video = config["video"]
    encoder = {"batch": 1, "frames": padded_frames(config), "height": video["height"], "width": video["width"]}
    decoders = [("video_decoder" if is_video(target) else f"{target}_decoder", "default",
                 {"batch": 1, "t": t, "h": h, "w": w} if is_video(target) else {"batch": 1}) for target in targets]
    return [("video_encoder", "default", encoder), *decoders]


def total(config, all_calls, element_bytes=2):
    cost = Cost(element_bytes)
    for stage, variant, dims in all_calls:
        cost.add(stage_cost(config, stage, variant, dims, element_bytes))
    return cost


SAVINGS = [
    ("unconditional pass as long as the conditional", {"padded": True}),
    ("as published", {}),
    ("first encoding shared", {"shared": True}),
    ("guidance on hidden rows too", {"shared": True, "guided_hidden": True}),
]
TARGETS = (["depth", "camera", "gaze"], ["depth", "camera"])


def main():
    config = PRESETS["egom2p-base"]
    print("| call | GFLOP | GB in fp16 | of it weights |\n|---|---|---|---|")
    queries = lambda count, visible: {"batch": 1, "visible": visible, "queries": count}
    singles = [("encoder", "unmasked", {"batch": 1, "visible": visible}) for visible in (5120, 6827, 8534, 1707, 3414)]
    singles += [("decoder", "unmasked", queries(1707, 5120)), ("decoder", "unmasked", queries(1707, 6827)),
                ("decoder", "unmasked", queries(1706, 8534)), ("decoder", "contextless", queries(1707, 0)),
                ("decoder", "unmasked", queries(10, 5120)), ("decoder", "unmasked", queries(6, 5120)),
                ("head_depth", "default", queries(1707, 0)), ("head_camera", "default", queries(10, 0)),
                *tokenizer_calls(config, TARGETS[0])]
    for stage, variant, dims in singles:
        cost = stage_cost(config, stage, variant, dims, 2)
        at = ", ".join(f"{dims[name]} {name}" for name in ("queries", "visible") if dims.get(name))
        print(f"| {stage}{at and ', ' + at} | {cost.flops / 1e9:.1f} | {cost.bytes / 1e9:.2f} | "
              f"{cost.weight_bytes / 1e9:.2f} |")

    columns = ["TFLOP of tokens", "with video", "GB in fp16"]
    columns += [f"{card} {rate}, ms" for card in H100 for rate in ("fp16", "TF32", "fp32")]
    columns += [f"{card} bytes, ms" for card in H100]
    for chaining in ("independent", "growing"):
        print(f"\n| {chaining} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        for targets in TARGETS:
            for name, savings in SAVINGS:
                if chaining == "growing" and name == "first encoding shared":
                    continue
                tokens = calls(config, targets, chaining, **savings)
                full = total(config, tokens + tokenizer_calls(config, targets))
                cells = [f"{cost.flops / 1e12:.2f}" for cost in (total(config, tokens), full)]
                cells.append(f"{full.bytes / 1e9:.1f}")
                cells += [f"{full.flops / 1e9 / rates[rate]:.1f}" for rates in H100.values()
                          for rate in ("fp16", "TF32", "fp32")]
                cells += [f"{full.bytes / 1e9 / rates['bandwidth']:.1f}" for rates in H100.values()]
                print(f"| {' + '.join(targets)}, {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
