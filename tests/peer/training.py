"""A training step of EgoM2P in eager PyTorch, as published, measured on the batch of `egom2p-train bench`.

    python training.py --preset egom2p-base [--batch N] [--steps N] [--threads N] [--device cuda] [--dtype bf16]

Masks are dense, the loss is the mean of the modalities' cross-entropies, gradients are clipped to 1, and the optimiser is
AdamW. Weights are those of `egom2p weights reproducible`. Prints one JSON object; needs numpy.
"""
import argparse
import contextlib
import json
import statistics
import time

import torch
import torch.nn.functional as F

from check import load_reproducible, rows_of
from presets import KEYS, MODALITIES, PRESETS, is_video, n_tokens, token_grid, vocabulary
from stages import DTYPES
from transformer import EgoM2P

BUDGET = 2048


def main():
    parser = argparse.ArgumentParser(description="The PyTorch peer of `egom2p-train bench`.")
    parser.add_argument("--preset", default="egom2p-base", choices=PRESETS)
    parser.add_argument("--batch", type=int, default=1, metavar="N")
    parser.add_argument("--steps", type=int, default=3, metavar="N", help="timed steps, after one that is not")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--device", default="cpu", choices=("cuda", "cpu"))
    parser.add_argument("--dtype", default="fp32", choices=DTYPES, help="of autocast")
    parser.add_argument("--attention", default="fused", choices=("fused", "published"),
                        help="scaled_dot_product_attention, or product by product as the published code")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config, device = PRESETS[arguments.preset], torch.device(arguments.device)
    model = EgoM2P(config, arguments.attention)
    load_reproducible(model, "egom2p", 0, token_grid(config)[1])
    model.to(device).train()
    optimizer = torch.optim.AdamW(groups(model), lr=1e-4, betas=(0.9, 0.95), eps=1e-8)
    visible, targets = (rows(config, first, arguments.batch, device) for first in (0, 1))
    losses, timed = [], []
    for step in range(arguments.steps + 1):
        marks = [now(device)]
        with autocast(device, arguments.dtype):
            loss = forward(model, visible, targets)
        losses.append(loss.item())
        marks.append(now(device))
        loss.backward()
        marks.append(now(device))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        marks.append(now(device))
        if step:
            timed.append([end - begin for begin, end in zip(marks, marks[1:])] + [marks[-1] - marks[0]])
    count = visible[0].numel() + targets[0].numel()
    parts = [statistics.median(part) for part in zip(*timed)]
    names = ("forward_secs", "backward_secs", "optimizer_secs", "step_secs")
    print(json.dumps({"tokens": count, "losses": losses, **dict(zip(names, parts)), "tokens_per_sec": count / parts[-1],
                      "threads": torch.get_num_threads(), "peak_memory_bytes": peak(device)}, indent=2))


def forward(model, visible, targets):
    tokens, modality, position, mask = visible
    places = rows_of(model, "encoder", modality, position)
    values = torch.zeros_like(places)
    for index, name in enumerate(MODALITIES):
        own = modality == index
        values[own] = model.encoder_embeddings[KEYS[name]].token_emb(tokens[own])
    context = model.encode(values, places, mask)
    tokens, modality, position, mask = targets
    queries = model.mask_token + rows_of(model, "decoder", modality, position)
    # A target sees the targets of its own modality.
    pairs = (modality[:, :, None] == modality[:, None]) & mask[:, None]
    hidden = model.decode(queries, context, visible[3], pairs)
    losses = []
    for index, name in enumerate(MODALITIES):
        own = modality == index
        logits = model.decoder_embeddings[KEYS[name]].to_logits(hidden[own])
        losses.append(F.cross_entropy(logits.float(), tokens[own]))
    return torch.stack(losses).mean()


def rows(config, first, batch, device):
    """Ids, modalities, positions and mask [batch, rows]: every second position from the first on, up to the budget."""
    n_motion = sum(n_tokens(config, modality) // 2 for modality in MODALITIES if not is_video(modality))
    parts = []
    for index, modality in enumerate(MODALITIES):
        half = n_tokens(config, modality) // 2
        n = min(half, (BUDGET - n_motion) // 2) if is_video(modality) else half
        position = 2 * torch.arange(n) + first
        parts.append([(position * 7919 + index) % vocabulary(config, modality), torch.full_like(position, index), position])
    columns = [torch.cat(column).expand(batch, -1).to(device) for column in zip(*parts)]
    return *columns, torch.ones_like(columns[0], dtype=torch.bool)


def groups(model):
    """Normalisations and biases do not decay."""
    decays = lambda name: not ("norm." in name or ".norm" in name or name.endswith(".bias"))
    named = list(model.named_parameters())
    return [{"params": [value for name, value in named if decays(name)], "weight_decay": 0.05},
            {"params": [value for name, value in named if not decays(name)], "weight_decay": 0.0}]


def autocast(device, dtype):
    return contextlib.nullcontext() if dtype == "fp32" else torch.autocast(device.type, DTYPES[dtype])


def now(device):
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak(device):
    """The largest memory so far: of the process, or what tensors had of the device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
