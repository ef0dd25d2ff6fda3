"""Compares reference.py with reference values that the published PyTorch implementation made.

    python check_reference.py GOLDEN_DIR

GOLDEN_DIR holds tiny_forward, tiny_gen_rgb2cam, tiny_gen_rgb2depth, gaze_tokenizer, cam_tokenizer and
video_tokenizer_clip9, each a .safetensors and a .json file whose `tensors` give a tolerance per tensor. Prints the
largest difference of every tensor and exits with 1 where one exceeds its tolerance.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file

import reference

PUBLISHED = {
    "motion": {"samples": 60, "vocabulary": 256},
    "video": {"frames": 16, "height": 256, "width": 256, "vocabulary": 64000},
    "video_tokenizer": {"channels": 128, "channel_multipliers": [2, 4, 4], "residual_blocks": 2, "z_channels": 16,
                        "levels": [8, 8, 8, 5, 5, 5]},
}
for tokenizer in ("camera_tokenizer", "gaze_tokenizer"):
    PUBLISHED[tokenizer] = {"dim": 768, "heads": 12, "blocks": 12, "mlp_hidden": 3072, "code_dim": 32}


class Checks:
    """Differences from the tensors of one file."""

    def __init__(self, folder, name):
        self.name = name
        self.tensors = load_file(folder / f"{name}.safetensors")
        self.about = json.loads((folder / f"{name}.json").read_text())
        self.failed = 0

    def config(self):
        config = self.about["config"]
        return {
            "dim": config["dim"], "heads": config["heads"], "encoder_blocks": config["enc_depth"],
            "decoder_blocks": config["dec_depth"], "mlp_hidden": config["swiglu_hidden"],
            "video": {"frames": 16, "height": 8 * config["video_side"], "width": 8 * config["video_side"],
                      "vocabulary": config["video_vocab"]},
            "motion": {"samples": 60, "vocabulary": config["motion_vocab"]},
        }

    def weights(self, part, config):
        return reference.Weights(part, self.about["weight_seed"], reference.token_grid(config)[1])

    def close(self, name, actual, rows=None):
        """Compares with a float tensor; `rows` bool picks the leading rows that mean something."""
        expected = self.tensors[name]
        actual = actual.to(torch.float32).reshape(expected.shape)
        difference = (actual - expected).abs()
        largest = (difference if rows is None else difference[rows]).max().item()
        tolerance = self.about["tensors"][name]["tolerance"]
        self.report(name, largest <= tolerance, f"{largest:.2e} of {tolerance:.0e}")

    def equal(self, name, actual):
        wrong = (actual.reshape(-1) != self.tensors[name].reshape(-1)).sum().item()
        self.report(name, wrong == 0, f"{wrong} of {actual.numel()} differ")

    def report(self, name, good, text):
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {self.name} {name}: {text}")


def rows_of(tensors, mask_name, length):
    """Rows for every sample: the positions whose mask is 0, by modality, filled up to `length`; and which are real."""
    samples = tensors[f"in/tok_cam/{mask_name}"].shape[0]
    ids, modality, position = (torch.zeros(samples, length, dtype=torch.int64) for _ in range(3))
    used = torch.zeros(samples, length, dtype=torch.bool)
    for sample in range(samples):
        row = 0
        for index, name in enumerate(reference.MODALITIES):
            key = f"in/{reference.KEYS[name]}"
            places = (tensors[f"{key}/{mask_name}"][sample] == 0).nonzero()[:, 0]
            end = row + len(places)
            ids[sample, row:end] = tensors[f"{key}/ids"][sample, places].to(torch.int64)
            modality[sample, row:end], position[sample, row:end], used[sample, row:end] = index, places, True
            row = end
    return ids, modality, position, used


def check_forward(folder):
    checks = Checks(folder, "tiny_forward")
    config, taps = checks.config(), {}
    w = checks.weights("model", config)
    ids, modality, position, visible = rows_of(checks.tensors, "input_mask", checks.about["n_in"])
    context = reference.encoder(w, config, ids, modality, position, visible, taps)
    checks.equal("out/enc_mask", (~visible).to(torch.uint8))
    targets, target_modality, target_position, queries = rows_of(checks.tensors, "target_mask", checks.about["n_out"])
    hidden = reference.decoder(w, config, context, visible, target_modality, target_position, queries, taps)
    checks.equal("out/target_ids", targets)
    for name in ("enc_emb", "enc_input", "enc_block0", "encoder_out"):
        checks.close(f"out/{name}", taps[name], visible)
    checks.close("out/context", context, visible)
    for name in ("dec_input", "dec_block0"):
        checks.close(f"out/{name}", taps[name], queries)
    checks.close("out/decoder_out", hidden, queries)
    for index, name in enumerate(reference.MODALITIES):
        logits = reference.head(w, config, name, hidden)[queries & (target_modality == index)]
        checks.close(f"out/logits/{reference.KEYS[name]}", logits)
    return checks.failed


def check_generation(folder, name, target):
    checks = Checks(folder, name)
    config = checks.config()
    condition = checks.tensors["cond_tokens"].flatten().to(torch.int64)
    steps = len(checks.about["schedule"])
    done, tokens = reference.generate(checks.weights("model", config), config, "rgb", condition, target, steps,
                                      checks.about["guidance"], checks.about["seed"])
    for index, step in enumerate(done):
        checks.equal(f"greedy/step{index}/positions", step["positions"])
        checks.equal(f"greedy/step{index}/tokens", step["tokens"])
        checks.close(f"greedy/step{index}/top1", step["best"])
    checks.close("greedy/step0/logits_cond", done[0]["logits_conditional"])
    checks.close("greedy/step0/logits_uncond", done[0]["logits_unconditional"])
    checks.equal(f"greedy/final/{reference.KEYS[target]}", tokens)
    return checks.failed


def check_motion(folder, name, modality):
    checks = Checks(folder, name)
    w, taps = checks.weights(modality, PUBLISHED), {}
    tokens = reference.motion_encoder(w, PUBLISHED, modality, checks.tensors["x"], taps)
    checks.equal("tokens", tokens)
    checks.close("encoder_out", taps["encoder_out"].transpose(1, 2))
    checks.close("latent", taps["latent"].transpose(1, 2))
    for tap in ("cos_top1", "margin"):
        checks.close(tap, taps[tap])
    checks.equal("random_x_tokens", reference.motion_encoder(w, PUBLISHED, modality, checks.tensors["random_x"]))
    checks.close("decoded", reference.motion_decoder(w, PUBLISHED, modality, checks.tensors["tokens"].long(), taps))
    for tap in ("quant", "post_quant"):
        checks.close(tap, taps[tap].transpose(1, 2))
    random = reference.motion_decoder(w, PUBLISHED, modality, checks.tensors["random_tokens"].long())
    checks.close("random_decoded", random)
    return checks.failed


def check_video(folder):
    checks = Checks(folder, "video_tokenizer_clip9")
    w, taps = checks.weights("video", PUBLISHED), {}
    video = checks.tensors["video"].permute(3, 0, 1, 2)[None].to(torch.float32) / 255 * 2 - 1
    checks.equal("tokens", reference.video_encoder(w, PUBLISHED, video, taps))
    checks.close("decoded", reference.video_decoder(w, PUBLISHED, checks.tensors["tokens"][None].long(), taps))
    # The margins follow from `bounded`; their stored tolerance is below the rounding of what they follow from.
    for tap in ("latent", "bounded", "codes"):
        checks.close(tap, taps[tap])
    for name, expected in checks.tensors.items():
        if name.startswith("tap/"):
            value = taps[name.removeprefix("tap/")][0]
            checks.close(name, value[:: value.shape[0] // expected.shape[0]])
    return checks.failed


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    with torch.no_grad():
        failed = check_forward(folder)
        failed += check_generation(folder, "tiny_gen_rgb2cam", "camera")
        failed += check_generation(folder, "tiny_gen_rgb2depth", "depth")
        failed += check_motion(folder, "gaze_tokenizer", "gaze")
        failed += check_motion(folder, "cam_tokenizer", "camera")
        failed += check_video(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
