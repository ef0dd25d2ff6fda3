"""Makes the small PyTorch checkpoints in model/tests/fixtures/checkpoints, which the import tests read.

    python3 -m venv .venv && .venv/bin/pip install torch==2.11.0 numpy
    .venv/bin/python tests/python/make_checkpoints.py model/tests/fixtures/checkpoints

Every tensor holds `value(name, i)`, which float16 and bfloat16 represent exactly, so the tests know what to expect.
The files carry published tensor names with tiny shapes.
"""
import argparse
import collections
import datetime
import enum
import os
import pathlib
import sys
import warnings
import zipfile

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")
DIM, VOCABULARY, TOKENS = 4, 6, 3


def value(name, i):
    return ((7 * i + 3 * len(name)) % 32) / 8 - 2


def filled(name, shape, dtype=torch.float32):
    n = int(np.prod(shape))
    return torch.tensor([value(name, i) for i in range(n)], dtype=dtype).reshape(shape)


def egom2p_state():
    """A one-block EgoM2P with two modalities; aliases share storage, norm biases are zero buffers."""
    state = collections.OrderedDict()

    def add(name, *shape):
        state[name] = filled(name, shape)

    add("mask_token", 1, 1, DIM)
    for modality in ("tok_cam", "tok_rgb"):
        add(f"encoder_embeddings.{modality}.mod_emb", 1, 1, DIM)
        add(f"encoder_embeddings.{modality}.pos_emb", 1, TOKENS, DIM)
        add(f"encoder_embeddings.{modality}.token_emb.weight", VOCABULARY, DIM)
    for modality in ("tok_cam", "tok_rgb"):
        state[f"decoder_embeddings.{modality}.mod_emb"] = state[f"encoder_embeddings.{modality}.mod_emb"]
        add(f"decoder_embeddings.{modality}.pos_emb", 1, TOKENS, DIM)
        add(f"decoder_embeddings.{modality}.token_emb.weight", VOCABULARY, DIM)
        state[f"decoder_embeddings.{modality}.to_logits.weight"] = state[f"decoder_embeddings.{modality}.token_emb.weight"]
    norms = ["encoder.0.norm1", "encoder_norm", "decoder.0.query_norm", "decoder.0.context_norm", "decoder_norm"]
    for norm in norms:
        add(f"{norm}.weight", DIM)
        state[f"{norm}.bias"] = torch.zeros(DIM)
    add("encoder.0.attn.qkv.weight", 3 * DIM, DIM)
    add("decoder.0.cross_attn.kv.weight", 2 * DIM, DIM)
    add("decoder_proj_context.weight", DIM, DIM)
    add("decoder_proj_context.bias", DIM)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def tokenizer_state(channels):
    state = collections.OrderedDict()
    for name, shape in [
        ("encoder.position_embeddings", (1, TOKENS, DIM)),
        ("encoder.conv.weight", (DIM, channels, 2)),
        ("encoder.conv.bias", (DIM,)),
        ("encoder.blocks.0.norm1.weight", (DIM,)),
        ("encoder.blocks.0.norm1.bias", (DIM,)),
        ("quantize._codebook.initted", (1,)),
        ("quantize._codebook.cluster_size", (VOCABULARY,)),
        ("quantize._codebook.embed", (VOCABULARY, 2)),
        ("decoder.out_proj.weight", (2 * channels, DIM)),
    ]:
        state[name] = filled(name, shape)
    return state


class Colour(enum.Enum):
    """An enumeration of the training script: a class that a reader of the file does not have."""

    RED = 1


def surroundings(state):
    """What the published training code stores beside the weights, and objects that such an `args` may hold."""
    parameter = nn.Parameter(torch.ones(2, 2))
    optimizer = torch.optim.AdamW([parameter], lr=1e-3)
    parameter.sum().backward()
    optimizer.step()
    args = argparse.Namespace(
        blr=1e-4, epochs=123, big=1 << 80, negative=-5, output_dir=pathlib.PurePosixPath("runs/a"), dtype=torch.bfloat16,
        device=torch.device("cpu"), seen={"tok_cam", "tok_rgb"}, frozen=frozenset({1}), raw=b"\x00\xff", colour=Colour.RED,
        when=datetime.datetime(2025, 1, 2, 3, 4, 5), scalar=np.float64(0.5), array=np.arange(3), nested=[(1,), {"a": None}],
        flag=True, text="caf\u00e9",
    )
    return {"model": state, "optimizer": optimizer.state_dict(), "epoch": 122, "scaler": {}, "args": args}


class RunsCode:
    def __reduce__(self):
        return os.system, ("echo this file ran code",)


def stranger():
    raise RuntimeError("never called")


class BuiltByStranger:
    def __reduce__(self):
        return stranger, ()


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patcher3d = Patcher()
        self.conv_in = nn.Sequential(Conv(2, 3))
        self.norm_out = Norm(3)

    def forward(self, x):
        return self.norm_out(self.conv_in(self.patcher3d(x)))


class Patcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("wavelets", torch.tensor([0.5, 0.5]), persistent=False)
        self.register_buffer("_arange", torch.arange(2), persistent=False)

    def forward(self, x):
        return x * self.wavelets.sum() + self._arange.sum()


class Conv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, 1)

    def forward(self, x):
        return self.conv3d(x)


class Norm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)

    def forward(self, x):
        return self.norm(x)


class Quantizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("_levels", torch.tensor([8, 5]), persistent=False)

    def forward(self, x):
        return x.round() + self._levels.sum()


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_out = nn.Sequential(Conv(3, 2))

    def forward(self, x):
        return self.conv_out(x)


def named(prefix_of, module, dtype=torch.float32):
    """Fills the parameters of `module`; `prefix_of` turns its own parameter names into published ones."""
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            parameter.copy_(filled(prefix_of(name), tuple(parameter.shape)))
    return module.eval().to(dtype)


def rezip(source, target, keep=lambda name: True, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w", method) as after:
        for name in before.namelist():
            if keep(name):
                after.writestr(zipfile.ZipInfo(name), before.read(name), method)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    state = egom2p_state()
    torch.save(surroundings(state), folder / "model.pth")
    torch.save(surroundings(state), folder / "model_protocol4.pth", pickle_protocol=4)
    torch.save(state, folder / "bare_state_dict.pth")
    torch.save({"model": tokenizer_state(2), "epoch": 3}, folder / "gaze.pth")
    torch.save({"model": tokenizer_state(9), "epoch": 3}, folder / "camera.pth")

    mixed = egom2p_state()
    for name, dtype in [("mask_token", torch.float16), ("encoder.0.norm1.weight", torch.bfloat16), ("encoder_norm.weight", torch.float64)]:
        mixed[name] = mixed[name].to(dtype)
    transposed = mixed["decoder.0.cross_attn.kv.weight"]
    mixed["decoder.0.cross_attn.kv.weight"] = transposed.t().contiguous().t()
    rows = mixed["encoder.0.attn.qkv.weight"]
    mixed["encoder.0.attn.qkv.weight"] = torch.cat([torch.full((2, DIM), 9.0), rows, torch.full((1, DIM), 9.0)])[2:-1]
    mixed["decoder_proj_context.weight"] = nn.Parameter(mixed["decoder_proj_context.weight"])
    for name in list(mixed):
        if name.endswith("to_logits.weight"):
            mixed[name] = mixed[name].clone()
    torch.save({"model": mixed}, folder / "mixed_layouts.pth")

    def broken(name, change):
        bad = egom2p_state()
        change(bad)
        torch.save({"model": bad}, folder / name)

    def set_item(key, new):
        return lambda bad: bad.__setitem__(key, new)

    broken("alias_differs.pth", set_item("decoder_embeddings.tok_cam.to_logits.weight", torch.ones(VOCABULARY, DIM)))
    broken("bias_not_zero.pth", set_item("decoder.0.query_norm.bias", torch.tensor([0.0, 0.0, 0.25, 0.0])))
    broken("shape_mismatch.pth", set_item("encoder.0.attn.qkv.weight", torch.ones(DIM, 3 * DIM)))
    broken("missing_tensor.pth", lambda bad: bad.pop("decoder_norm.weight"))
    broken("unexpected_tensor.pth", set_item("register_tokens", torch.ones(1, 2, DIM)))
    broken("integers.pth", set_item("mask_token", torch.ones(1, 1, DIM, dtype=torch.int64)))
    broken("not_finite.pth", set_item("mask_token", torch.tensor([[[0.0, float("nan"), 0.0, 0.0]]])))
    broken("stranger_in_model.pth", set_item("mask_token", BuiltByStranger()))
    broken("code_in_model.pth", set_item("mask_token", RunsCode()))
    torch.save({"model": egom2p_state(), "args": argparse.Namespace(hook=RunsCode())}, folder / "code_in_args.pth")
    torch.save({"epoch": 3, "weights": None}, folder / "no_model.pth")
    torch.save({"model": tokenizer_state(2)}, folder / "old_format.pth", _use_new_zipfile_serialization=False)

    rezip(folder / "gaze.pth", folder / "compressed.pth", method=zipfile.ZIP_DEFLATED)
    rezip(folder / "gaze.pth", folder / "missing_entry.pth", keep=lambda name: not name.endswith("/data/3"))

    x = torch.ones(1, 2, 1, 1, 1)
    parts = [("encoder", Encoder()), ("quant_conv", Conv(3, 2)), ("quantizer", Quantizer())]
    encoder = named(lambda name: name, nn.Sequential(collections.OrderedDict(parts)))
    torch.jit.save(torch.jit.trace(encoder, x), folder / "full_encoder.jit")
    torch.jit.save(torch.jit.script(encoder.to(torch.bfloat16)), folder / "full_scripted_encoder.jit")
    numbered = nn.Sequential(*(module for _, module in parts)).float()
    torch.jit.save(torch.jit.trace(numbered, x), folder / "full_numbered_encoder.jit")
    parts = [("inv_quant", Quantizer()), ("post_quant_conv", Conv(2, 3)), ("decoder", Decoder())]
    decoder = named(lambda name: name, nn.Sequential(collections.OrderedDict(parts)), torch.bfloat16)
    torch.jit.save(torch.jit.script(decoder), folder / "full_decoder.jit")
    for path in sorted(folder.glob("full_*.jit")):
        rezip(path, folder / path.name.removeprefix("full_"), keep=lambda name: not name.endswith(".debug_pkl"))
        path.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
