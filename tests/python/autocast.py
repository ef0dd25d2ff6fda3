"""How far PyTorch's own half precision is from the published values: reference.py under torch.autocast.

    python autocast.py GOLDEN_DIR [float16|bfloat16]

Runs what check_reference.py runs, and full_forward. Prints, per tensor, the norm of the difference over the norm of the
published values and the largest difference over the largest magnitude; of tokens, how many are equal.
"""
import pathlib
import sys

import torch

import check_reference
import reference


class Errors(check_reference.Checks):
    """Relative differences from the tensors of one file."""

    def close(self, name, actual, rows=None):
        expected = self.tensors[name].double()
        actual = actual.double().reshape(expected.shape)
        if rows is not None:
            expected, actual = expected[rows], actual[rows]
        difference = actual - expected
        norm = (difference.norm() / expected.norm()).item()
        largest = (difference.abs().max() / expected.abs().max()).item()
        print(f"{self.name} {name}: norm {norm:.1e}, largest {largest:.1e}", flush=True)

    def equal(self, name, actual):
        n_equal = (actual.reshape(-1) == self.tensors[name].reshape(-1)).sum().item()
        print(f"{self.name} {name}: {n_equal} of {actual.numel()} equal", flush=True)


def check_full_forward(folder):
    """The published size; rows of the stored places only."""
    checks = Errors(folder, "full_forward")
    config = checks.config()
    w = checks.weights("model", config)
    checks.tensors = {name: value[None] if name.startswith("in/") else value for name, value in checks.tensors.items()}
    rows = lambda mask, length: check_reference.rows_of(checks.tensors, mask, checks.about[length])
    ids, modality, position, visible = rows("input_mask", "n_in")
    _, target_modality, target_position, queries = rows("target_mask", "n_out")
    taps = {}
    context = reference.encoder(w, config, ids, modality, position, visible, taps)
    hidden = reference.decoder(w, config, context, visible, target_modality, target_position, queries)
    seen, asked = checks.tensors["enc_rows"].long(), checks.tensors["dec_rows"].long()
    checks.close("out/encoder_out", taps["encoder_out"][0, seen])
    checks.close("out/context", context[0, seen])
    checks.close("out/decoder_out", hidden[0, asked])
    for index, name in enumerate(reference.MODALITIES):
        key = reference.KEYS[name]
        logits = reference.head(w, config, name, hidden)[queries & (target_modality == index)].float()
        stored = checks.tensors[f"out/top16_idx/{key}"]
        logits = logits[: len(stored)]
        checks.close(f"out/top16/{key}", logits.sort(dim=-1, descending=True).values[:, : stored.shape[1]])
        checks.close(f"out/logsumexp/{key}", logits.logsumexp(-1))
        n_equal = (logits.argmax(-1) == stored[:, 0]).sum().item()
        print(f"{checks.name} out/top16_idx/{key}: {n_equal} of {len(stored)} equal", flush=True)


def main():
    folder = pathlib.Path(sys.argv[1])
    dtype = getattr(torch, sys.argv[2] if len(sys.argv) > 2 else "float16")
    check_reference.Checks = Errors
    torch.set_num_threads(1)
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        check_reference.check_forward(folder)
        check_reference.check_generation(folder, "tiny_gen_rgb2cam", "camera")
        check_reference.check_generation(folder, "tiny_gen_rgb2depth", "depth")
        check_reference.check_motion(folder, "gaze_tokenizer", "gaze")
        check_reference.check_motion(folder, "cam_tokenizer", "camera")
        check_reference.check_video(folder)
        check_full_forward(folder)


if __name__ == "__main__":
    main()
