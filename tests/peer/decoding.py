"""Guided decoding in random order as the published code does it: every step encodes all visible tokens anew, with and
without the condition, and draws by sorting the whole vocabulary."""
import dataclasses

import torch

from presets import n_tokens


@dataclasses.dataclass
class Settings:
    """targets: modality and number of tokens of each step, in order. chaining: "growing" or "independent"."""

    targets: list
    guidance: float = 2.0
    temperature: float = 0.01
    top_p: float = 0.8
    seed: int = 0
    chaining: str = "growing"


class State:
    """Tokens and what is visible of all modalities, [batch, positions]; `counts` are visible positions of a clip."""

    def __init__(self, config, given, targets, device):
        batch = len(next(iter(given.values())))
        self.ids, self.visible, self.counts = {}, {}, {}
        for modality, tokens in given.items():
            self.ids[modality] = tokens
            self.visible[modality] = torch.ones_like(tokens, dtype=torch.bool)
            self.counts[modality] = tokens.shape[1]
        for modality in targets:
            shape = batch, n_tokens(config, modality)
            self.ids[modality] = torch.zeros(shape, dtype=torch.int64, device=device)
            self.visible[modality] = torch.zeros(shape, dtype=torch.bool, device=device)
            self.counts[modality] = 0


def generate(stages, given, settings):
    """Tokens [batch, positions] by target, from those of `given`, which are on the device."""
    names = [modality for modality, _ in settings.targets]
    if settings.chaining == "growing":
        chains = [settings.targets]
    else:
        chains = [[target] for target in settings.targets]
    generated = {}
    with stages.inference():
        for chain in chains:
            state = State(stages.config, given, [modality for modality, _ in chain], stages.device)
            condition, seed = list(given), settings.seed
            for modality, counts in chain:
                for count in counts:
                    step(stages, state, condition, modality, count, seed, settings)
                    seed += 1
                condition.append(modality)
                generated[modality] = state.ids[modality]
    return {name: generated[name] for name in names}


def step(stages, state, condition, modality, count, seed, settings, taps=None):
    """Decodes `count` positions of a modality; `taps` takes what was computed on the way."""
    logits, positions = logits_of(stages, state, modality, count, seed)
    conditional = logits
    if settings.guidance != 1:
        unconditional, positions = logits_of(stages, state, modality, count, seed, without=condition)
        with stages.timed("sampling"):
            logits = unconditional + (conditional - unconditional) * settings.guidance
        if taps is not None:
            taps.update(conditional=conditional, unconditional=unconditional, guided=logits.clone())
    with stages.timed("sampling"):
        tokens = sample(logits.flatten(0, 1), settings).view(positions.shape)
        state.ids[modality] = state.ids[modality].scatter(1, positions, tokens)
        state.visible[modality] = state.visible[modality].scatter(1, positions, True)
    state.counts[modality] += count
    if taps is not None:
        taps.update(positions=positions, tokens=tokens)


def logits_of(stages, state, modality, count, seed, without=()):
    """One pass: logits [batch, count, vocabulary] of positions [batch, count] that follow from the seed."""
    visible = {name: torch.zeros_like(own) if name in without else own for name, own in state.visible.items()}
    n_visible = sum(n for name, n in state.counts.items() if name not in without)
    torch.manual_seed(seed)
    done = state.visible[modality]
    draws = torch.rand(done.shape[1], device=done.device)[None] * 1e-6
    positions = torch.argsort(done + draws, dim=1)[:, :count]
    if n_visible:
        context = stages.run("encoder", state.ids, visible, n_visible, variant="unmasked")
        hidden = stages.run("decoder", modality, positions, context, variant="unmasked")
    else:
        hidden = stages.run("decoder", modality, positions, variant="contextless")
    return stages.run(f"head_{modality}", hidden), positions


def sample(logits, settings):
    """One token per row [rows, vocabulary]; the nucleus is that of temperature 1. Overwrites `logits`."""
    if settings.temperature <= 1e-10:
        return logits.argmax(-1)
    if settings.top_p > 0:
        values, order = torch.sort(logits, dim=1, descending=True)
        removed = values.softmax(-1).cumsum(-1) > settings.top_p
        # The token that crosses the threshold stays.
        removed = torch.cat([torch.zeros_like(removed[:, :1]), removed[:, :-1]], dim=1)
        removed = removed.gather(1, order.argsort(dim=1))
        logits.masked_fill_(removed, -torch.inf)
    return torch.multinomial((logits / settings.temperature).softmax(-1), 1)[:, 0]
