"""Runs the full check of the onnx package on every ONNX file of a folder; prints how many passed.

usage: check_onnx.py FOLDER      needs: onnx (any version that knows operator set 20)
"""

import pathlib
import sys

import onnx

paths = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
for path in paths:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        sys.exit(f"{path.name}: {error}")
print(len(paths))
