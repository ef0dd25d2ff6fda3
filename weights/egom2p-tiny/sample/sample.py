"""Makes clip.npz: a synthetic clip with its truth, and what naive predictions for it are.

    egom2p-train synth --out held-out --preset egom2p-tiny --rooms dark --clips 400 --seed 2
    egom2p-train synth --out clips --preset egom2p-tiny --rooms dark --clips 12000 --seed 1
    python sample.py held-out/val/rooms/{}/00000007.npz clips/train clip.npz

The brackets stand for the modality. The clip was chosen among the first 16 before there was a trained model: the wearer walks
past what draws the eye and turns, so that naive predictions are more wrong than on the mean clip.

The naive depth is the mean over the first 1000 clips of every dataset that has depth, pixel by pixel; the naive gaze is
the mean over their valid samples. The same inputs give the same bytes.
"""

import sys
from pathlib import Path

import numpy as np

CLIPS_OF_A_DATASET = 1000


def first_clips(training: Path, modality: str) -> list[Path]:
    datasets = [folder for folder in sorted(training.iterdir()) if (folder / modality).is_dir()]
    return [path for folder in datasets for path in sorted((folder / modality).glob("*.npz"))[:CLIPS_OF_A_DATASET]]


def mean_depth(training: Path) -> np.ndarray:
    clips = first_clips(training, "depth")
    return sum(np.load(clip)["arr_0"].mean(0) for clip in clips) / len(clips) / 255


def mean_gaze(training: Path, side: int) -> np.ndarray:
    samples = np.concatenate([np.load(clip)["arr_0"] for clip in first_clips(training, "gaze")]) / side
    return samples[np.isfinite(samples).all(1)].mean(0)


def main(clip: str, training: str, out: str) -> None:
    rgb, depth, cam, gaze = (np.load(clip.format(modality)) for modality in ["rgb", "depth", "cam", "gaze"])
    side = rgb["arr_0"].shape[1]
    np.savez_compressed(
        out,
        rgb=rgb["arr_0"],
        depth_mm=np.rint(depth["metres"] * 1000).astype("<u2"),
        inverse_depth_range=depth["inverse_range"],
        world_from_camera=cam["arr_0"],
        gaze=gaze["arr_0"] / side,
        naive_depth=mean_depth(Path(training)).astype("<f4"),
        naive_gaze=mean_gaze(Path(training), side),
    )


main(*sys.argv[1:])
