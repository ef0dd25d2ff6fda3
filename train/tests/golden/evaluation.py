"""Measures of an evaluation, computed with numpy: python evaluation.py > evaluation.json

Written from their definitions (specification sections 3.6 and 4.5), not from the Rust code. numpy 2.
"""

import json
import sys

import numpy as np

rng = np.random.default_rng(5)


def rotation(vector):
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def poses(n, noise):
    matrices = np.tile(np.eye(4), (n, 1, 1))
    for i in range(1, n):
        matrices[i, :3, :3] = matrices[i - 1, :3, :3] @ rotation(rng.normal(0, 0.05, 3) + 1e-3)
        step = np.array([0, 0, 0.1]) + rng.normal(0, noise, 3)
        matrices[i, :3, 3] = matrices[i - 1, :3, 3] + matrices[i - 1, :3, :3] @ step
    return matrices


def trajectory(truth, predicted):
    g, p = truth[:, :3, 3], predicted[:, :3, 3]
    u, _, vt = np.linalg.svd((g - g.mean(0)).T @ (p - p.mean(0)))
    if np.linalg.det(u @ vt) < 0:
        vt[-1] *= -1
    ate = np.sqrt((((g - p @ (u @ vt).T) ** 2).sum(1)).mean())
    relative = lambda m: np.linalg.inv(m[:-1]) @ m[1:]
    error = np.linalg.inv(relative(truth)) @ relative(predicted)
    rte = np.sqrt((error[:, :3, 3] ** 2).sum(1).mean())
    cosine = (np.trace(error[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    rre = np.sqrt((np.degrees(np.arccos(np.clip(cosine, -1, 1))) ** 2).mean())
    return [ate, rte, rre]


def depth(metres, low, high, values):
    relative = lambda d: (np.abs(d - metres) / metres).mean()
    d = 1 / (low + values * (high - low))
    ratio = np.maximum(d / metres, metres / d)
    a = np.stack([values.ravel(), np.ones(values.size)], 1)
    scale, shift = np.linalg.lstsq(a, (1 / metres).ravel(), rcond=None)[0]
    aligned = 1 / np.maximum(scale * values + shift, low)
    return [relative(d), np.sqrt(((d - metres) ** 2).mean()), (ratio < 1.25).mean(), relative(aligned)]


truth, predicted = poses(12, 0.01), poses(12, 0.05)

metres = rng.uniform(0.5, 6, (2, 3, 4))
low, high = 1 / metres.max(), 1 / metres.min()
values = np.float32(np.clip((1 / metres - low) / (high - low) + rng.normal(0, 0.1, metres.shape), 0, 1))
shown = np.float32(np.floor(255 * (1 / metres - low) / (high - low)) / 255)

gaze = np.float32(rng.uniform(-1, 1, (9, 2)))
valid = np.array([1, 1, 0, 1, 1, 1, 0, 0, 1], np.float32)
gaze[valid == 0] = -1
looked = np.float32(rng.uniform(0, 1, (9, 2)))
off = (np.float64(looked) - (np.float64(gaze) + 1) / 2)[valid == 1]
crop = np.array([40, 30])

difference = np.float64(values) - np.float64(shown)
json.dump(
    {
        "camera": {
            "truth": truth.ravel().tolist(),
            "predicted": predicted.ravel().tolist(),
            "errors": trajectory(truth, predicted),
            "constant_pose": trajectory(truth, np.tile(np.eye(4), (12, 1, 1))),
        },
        "depth": {
            "metres": metres.ravel().tolist(),
            "range": [low, high],
            "values": values.ravel().tolist(),
            "errors": depth(metres, low, high, np.float64(values)),
        },
        "gaze": {
            "input": np.concatenate([gaze, valid[:, None]], 1).ravel().tolist(),
            "predicted": looked.ravel().tolist(),
            "crop": crop.tolist(),
            "errors": [(off**2).mean(), np.abs(off).mean(), ((off * crop) ** 2).mean(), np.abs(off * crop).mean()],
        },
        "video": {
            "truth": shown.ravel().tolist(),
            "errors": [np.abs(difference).mean(), -10 * np.log10((difference**2).mean())],
        },
    },
    sys.stdout,
    indent=0,
)
print()
