"""Writes numpy_shard.tar: tokens of the base preset as NumPy and Python's tarfile write them (any recent NumPy)."""
import io
import pathlib
import tarfile

import numpy as np

video = (np.arange(5120) * 7 % 64000).astype(np.int32).reshape(5, 32, 32)
motion = (np.arange(30) * 7 % 256).astype(np.int64)
members = [
    ("video.npz", np.savez_compressed, video),
    ("stored_video.npz", np.savez, video.astype(np.uint16)),
    ("motion.npz", np.savez_compressed, motion),
    ("n" * 150 + "_motion.npz", np.savez_compressed, motion[None]),
]
with tarfile.open(pathlib.Path(__file__).with_suffix(".tar"), "w") as tar:
    for name, save, array in members:
        content = io.BytesIO()
        save(content, array)
        info = tarfile.TarInfo(name)
        info.size = content.tell()
        content.seek(0)
        tar.addfile(info, content)
