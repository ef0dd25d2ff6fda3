"""Compares the peer with reference values: those of the published implementation, or those in tests/golden.

Weights follow from tests/python/reproducible.py, which needs numpy; the values are read with safetensors. Generation is
compared greedily, because what a seed draws depends on the build of torch, and on the processor alone, because another
device draws other positions.
"""
import json
import pathlib
import sys

import torch

from decoding import Settings, State, step
from motion_tokenizer import MotionTokenizer
from presets import KEYS, MODALITIES, PRESETS, linear_schedule, n_tokens, token_grid
from stages import Stages
from transformer import EgoM2P
from video_tokenizer import VideoTokenizer, fsq_bound

PREFIXES = {"model": "egom2p", "camera": "cam", "gaze": "gaze", "video": "video"}
MODALITY_OF = {key: modality for modality, key in KEYS.items()}


class Comparison:
    """The tensors of one file, and how many of them were missed."""

    def __init__(self, folder, name, device, attention):
        from safetensors.torch import load_file

        self.name, self.device, self.attention, self.failed = name, device, attention, 0
        self.tensors = load_file(folder / f"{name}.safetensors")
        self.about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

    def input(self, name):
        return self.tensors[name].to(self.device)

    def network(self, part, config):
        if part == "model":
            network = EgoM2P(config, self.attention)
        elif part == "video":
            network = VideoTokenizer(config, self.attention)
        else:
            network = MotionTokenizer(config, part, self.attention)
        load_reproducible(network, PREFIXES[part], self.about["weight_seed"], token_grid(config)[1])
        return network.to(self.device).eval()

    def close(self, name, actual, tolerance, rows=None):
        """rows: bool, which rows mean something."""
        expected, actual = self.tensors[name], actual.float().cpu()
        difference = (actual.reshape(expected.shape) - expected).abs()
        difference = difference if rows is None else difference[rows.cpu()]
        largest = difference.max().item() if difference.numel() else 0.0
        self.report(name, largest <= tolerance, f"{largest:.1e} of {tolerance:.0e}")

    def equal(self, name, actual):
        wrong = (actual.cpu().reshape(-1) != self.tensors[name].reshape(-1)).sum().item()
        self.report(name, wrong == 0, f"{wrong} of {actual.numel()} differ")

    def published(self, name, actual, rows=None):
        self.close(name, actual, self.about["tensors"][name]["tolerance"], rows)

    def report(self, name, good, text):
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {self.name} {name}: {text}", flush=True)


def run(folder, device, attention):
    """0 where everything agrees, otherwise 1."""
    folder = pathlib.Path(folder)
    if (folder / "tiny_forward.json").is_file():
        checks = PUBLISHED_CHECKS
    elif (folder / "encoder.json").is_file() and attention == "published":
        print("error: the stages of this folder attend to nothing where nothing is visible, the published code evenly\n"
              "  help: leave --attention published out, or pass a folder of published values", file=sys.stderr)
        return 1
    elif (folder / "encoder.json").is_file():
        checks = STAGE_CHECKS
    else:
        print(f"error: {folder} holds neither tiny_forward.json nor encoder.json\n"
              "  help: pass tests/golden or a folder of published values", file=sys.stderr)
        return 1
    failed = 0
    with torch.inference_mode():
        for name, check in checks.items():
            if not (folder / f"{name}.json").is_file():
                print(f"skip {name}: not in this folder")
            elif check in GENERATION_CHECKS and torch.device(device).type != "cpu":
                print(f"skip {name}: positions are those of the processor's generator")
            else:
                comparison = Comparison(folder, name, device, attention)
                check(comparison)
                failed += comparison.failed
    print(f"{failed} failed")
    return 1 if failed else 0


def load_reproducible(network, prefix, seed, video_side):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
    import reproducible

    made = {}
    for name, tensor in network.state_dict().items():
        if not name.endswith(("initted", "cluster_size")):
            values = reproducible.tensor(seed, f"{prefix}/{name}", tuple(tensor.shape), video_side)
            made[name] = torch.from_numpy(values)
    network.load_state_dict(made, strict=False)


def rows_of(model, side, modality, position):
    """Place embeddings of rows of any modalities; modality and position [batch, rows]."""
    embeddings = getattr(model, f"{side}_embeddings")
    places = torch.zeros(*modality.shape, model.config["dim"], device=modality.device)
    for index, name in enumerate(MODALITIES):
        own, embedding = modality == index, embeddings[KEYS[name]]
        places[own] = embedding.pos_emb[0][position[own]] + embedding.mod_emb[0, 0]
    return places


def encode_rows(model, tokens, modality, position, visible):
    places = rows_of(model, "encoder", modality, position)
    values = torch.zeros_like(places)
    for index, name in enumerate(MODALITIES):
        own = modality == index
        values[own] = model.encoder_embeddings[KEYS[name]].token_emb(tokens[own])
    if visible is None:
        return model.encode(values, places)
    return model.encode(values * visible[..., None], places * visible[..., None], visible)


def decode_rows(model, modality, position, context, visible, queries):
    y = model.mask_token + rows_of(model, "decoder", modality, position)
    if queries is None:
        return model.decode(y, context)
    own = (modality[:, :, None] == modality[:, None, :]) & queries[:, None, :]
    return model.decode(y * queries[..., None], context, visible, own)


def stages_around(model, config):
    """Stages whose transformer is `model`; nothing else of them is used."""
    with torch.device("meta"):
        stages = Stages(config, "meta")
    stages.model, stages.device = model, next(model.parameters()).device
    stages.functions = stages._functions()
    return stages


def decode_chain(model, config, given, targets, guidance, seed):
    """What every step of greedy decoding computes, in the order of the steps, and all tokens by target."""
    stages, settings = stages_around(model, config), Settings(targets, guidance, temperature=0.0, seed=seed)
    state = State(config, given, [modality for modality, _ in targets], stages.device)
    condition, done = list(given), []
    for modality, counts in targets:
        for count in counts:
            taps = {"modality": modality}
            with stages.inference():
                step(stages, state, condition, modality, count, seed + len(done), settings, taps)
            done.append(taps)
        condition.append(modality)
    return done, state.ids


# ---- Values of the published implementation


def config_of(about):
    own = about["config"]
    return PRESETS["egom2p-base"] | {
        "dim": own["dim"], "heads": own["heads"], "encoder_blocks": own["enc_depth"],
        "decoder_blocks": own["dec_depth"], "mlp_hidden": own["swiglu_hidden"],
        "video": {"frames": 16, "height": 8 * own["video_side"], "width": 8 * own["video_side"],
                  "vocabulary": own["video_vocab"]},
        "motion": {"samples": 60, "vocabulary": own["motion_vocab"]},
    }


def masked_rows(comparison, mask_name, length):
    """Rows of every sample whose mask is 0, by modality, filled up to `length`; and which are real."""
    samples = comparison.tensors[f"in/tok_cam/{mask_name}"].shape[0]
    ids, modality, position = (torch.zeros(samples, length, dtype=torch.int64) for _ in range(3))
    used = torch.zeros(samples, length, dtype=torch.bool)
    for sample in range(samples):
        row = 0
        for index, name in enumerate(MODALITIES):
            key = f"in/{KEYS[name]}"
            places = (comparison.tensors[f"{key}/{mask_name}"][sample] == 0).nonzero()[:, 0]
            own = slice(row, row + len(places))
            ids[sample, own] = comparison.tensors[f"{key}/ids"][sample, places].long()
            modality[sample, own], position[sample, own], used[sample, own] = index, places, True
            row += len(places)
    return [value.to(comparison.device) for value in (ids, modality, position, used)]


def check_forward(comparison):
    model = comparison.network("model", config_of(comparison.about))
    *rows, visible = masked_rows(comparison, "input_mask", comparison.about["n_in"])
    context = encode_rows(model, *rows, visible)
    comparison.published("out/context", context, visible)
    _, modality, position, queries = masked_rows(comparison, "target_mask", comparison.about["n_out"])
    hidden = decode_rows(model, modality, position, context, visible, queries)
    comparison.published("out/decoder_out", hidden, queries)
    for index, name in enumerate(MODALITIES):
        head = model.decoder_embeddings[KEYS[name]].to_logits
        comparison.published(f"out/logits/{KEYS[name]}", head(hidden[queries & (modality == index)]))


def check_generation(comparison):
    about = comparison.about
    config = config_of(about)
    model = comparison.network("model", config)
    schedule = about["schedule"]
    given = {MODALITY_OF[schedule[0]["cfg_cond_domains"][0]]: comparison.input("cond_tokens").flatten()[None].long()}
    targets = {}
    for entry in schedule:
        targets.setdefault(MODALITY_OF[entry["target"]], []).append(entry["num_tokens"])
    done, tokens = decode_chain(model, config, given, list(targets.items()), about["guidance"], about["seed"])
    for index, taps in enumerate(done):
        prefix = f"greedy/step{index}"
        comparison.equal(f"{prefix}/positions", taps["positions"])
        comparison.equal(f"{prefix}/tokens", taps["tokens"])
        comparison.published(f"{prefix}/top1", taps["guided"].amax(-1))
    comparison.published("greedy/step0/logits_cond", done[0]["conditional"])
    comparison.published("greedy/step0/logits_uncond", done[0]["unconditional"])
    for modality in targets:
        comparison.equal(f"greedy/final/{KEYS[modality]}", tokens[modality])


def check_full_forward(comparison):
    """The published size, rows of the stored places only."""
    comparison.tensors = {name: value[None] if name.startswith("in/") else value
                          for name, value in comparison.tensors.items()}
    about = comparison.about
    model = comparison.network("model", config_of(about))
    *rows, visible = masked_rows(comparison, "input_mask", about["n_in"])
    context = encode_rows(model, *rows, visible)
    _, modality, position, queries = masked_rows(comparison, "target_mask", about["n_out"])
    hidden = decode_rows(model, modality, position, context, visible, queries)
    comparison.published("out/context", context[0, comparison.input("enc_rows").long()])
    comparison.published("out/decoder_out", hidden[0, comparison.input("dec_rows").long()])
    for index, name in enumerate(MODALITIES):
        key = KEYS[name]
        stored = comparison.tensors[f"out/top16/{key}"]
        logits = model.decoder_embeddings[key].to_logits(hidden[queries & (modality == index)][: len(stored)])
        best = logits.sort(dim=-1, descending=True).values[:, : stored.shape[1]]
        comparison.published(f"out/top16/{key}", best)


def check_motion(modality):
    def check(comparison):
        tokenizer = comparison.network(modality, PRESETS["egom2p-base"])
        comparison.equal("tokens", tokenizer.encode(comparison.input("x")))
        comparison.equal("random_x_tokens", tokenizer.encode(comparison.input("random_x")))
        comparison.published("decoded", tokenizer.decode(comparison.input("tokens").long()))
        comparison.published("random_decoded", tokenizer.decode(comparison.input("random_tokens").long()))
    return check


def check_video(comparison):
    tokenizer = comparison.network("video", PRESETS["egom2p-base"])
    frames = comparison.input("video").permute(3, 0, 1, 2)[None].float() / 255 * 2 - 1
    latent = tokenizer.latent(frames)
    comparison.published("latent", latent)
    comparison.published("bounded", fsq_bound(latent, tokenizer.levels))
    comparison.equal("tokens", tokenizer.encode(frames))
    comparison.published("decoded", tokenizer.decode(comparison.input("tokens")[None].long()))


PUBLISHED_CHECKS = {
    "tiny_forward": check_forward, "full_forward": check_full_forward,
    "tiny_gen_rgb2cam": check_generation, "tiny_gen_rgb2gaze": check_generation,
    "tiny_gen_rgb2depth": check_generation, "tiny_gen_depth2rgb": check_generation,
    "tiny_gen_rgb2depth_then_cam": check_generation,
    "gaze_tokenizer": check_motion("gaze"), "cam_tokenizer": check_motion("camera"),
    "video_tokenizer_clip9": check_video, "video_tokenizer_clip17": check_video,
}

# ---- Values in tests/golden


def outputs(comparison):
    """Every case, its inputs as a function of their names, and what compares an output."""
    for case, about in comparison.about["cases"].items():
        def compare(output, actual, case=case, about=about):
            own, name = about["outputs"][output], f"{case}/out/{output}"
            if own["tolerance"] == "exact":
                comparison.equal(name, actual)
            else:
                rows = comparison.tensors[f"{case}/in/{own['rows']}"] if "rows" in own else None
                comparison.close(name, actual, own["tolerance"], rows)
        yield case, lambda *names, case=case: [comparison.input(f"{case}/in/{name}") for name in names], compare


def check_encoder(comparison):
    model = comparison.network("model", comparison.about["config"])
    for case, inputs, compare in outputs(comparison):
        masked = f"{case}/in/visible_mask" in comparison.tensors
        visible = inputs("visible_mask")[0] if masked else None
        compare("context", encode_rows(model, *inputs("tokens", "modality", "position"), visible))


def check_decoder(comparison):
    model = comparison.network("model", comparison.about["config"])
    for case, inputs, compare in outputs(comparison):
        modality, position = inputs("modality", "position")
        context = visible = queries = None
        if f"{case}/in/context" in comparison.tensors:
            context, = inputs("context")
        if f"{case}/in/query_mask" in comparison.tensors:
            visible, queries = inputs("visible_mask", "query_mask")
        compare("hidden", decode_rows(model, modality, position, context, visible, queries))


def check_head(modality):
    def check(comparison):
        model = comparison.network("model", comparison.about["config"])
        for _, inputs, compare in outputs(comparison):
            compare("logits", model.decoder_embeddings[KEYS[modality]].to_logits(*inputs("hidden")))
    return check


def check_tokenizer(part, encodes):
    def check(comparison):
        tokenizer = comparison.network(part, comparison.about["config"])
        for _, inputs, compare in outputs(comparison):
            if encodes:
                compare("tokens", tokenizer.encode(*inputs(part)))
            else:
                compare(part, tokenizer.decode(*inputs("tokens")))
    return check


def check_greedy(modality):
    def check(comparison):
        config, about = comparison.about["config"], comparison.about
        model = comparison.network("model", config)
        for _, inputs, compare in outputs(comparison):
            counts = linear_schedule(n_tokens(config, modality), about["steps"])
            done, tokens = decode_chain(model, config, {"rgb": inputs("tokens")[0][None]}, [(modality, counts)],
                                        about["guidance"], about["seed"])
            for index, taps in enumerate(done):
                compare(f"step{index}/positions", taps["positions"])
                compare(f"step{index}/tokens", taps["tokens"])
                compare(f"step{index}/best", taps["guided"].amax(-1))
            compare("step0/logits_conditional", done[0]["conditional"])
            compare("step0/logits_unconditional", done[0]["unconditional"])
            compare("tokens", tokens[modality])
    return check


STAGE_CHECKS = {
    "encoder": check_encoder, "decoder": check_decoder,
    **{f"head_{modality}": check_head(modality) for modality in MODALITIES},
    **{f"{part}_{side}": check_tokenizer(part, side == "encoder")
       for part in ("camera", "gaze", "video") for side in ("encoder", "decoder")},
    "generate_rgb_to_camera": check_greedy("camera"), "generate_rgb_to_depth": check_greedy("depth"),
}
GENERATION_CHECKS = [check_generation, *(check for name, check in STAGE_CHECKS.items() if name.startswith("generate"))]
